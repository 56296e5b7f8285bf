import { formBody } from "../e2e/proposal-forms.ts";
import { asShown, type Stage, seen, type Thread } from "../e2e/stage.ts";
import type { Judged } from "./missions.ts";

const GOOD = { Objective: "Say hello.", "Acceptance criteria": "It says hello.", Agents: "hears" };
const MOST_PLANNED = 2;
const FLOOD = 6;

/** Proposals of a stranger: a flood of them, one that is edited again and again, and one behind an approval. */
export async function proposalAssault(stage: Stage): Promise<Judged[]> {
  const file = (values: object) =>
    stage.openIssue("Mission: hello", { as: stage.reader, body: formBody(values) });
  const edit = (at: Thread, values: object) =>
    stage.server.api(stage.reader, "PATCH", `/repos/${at.repo}/issues/${at.number}`, {
      body: formBody(values),
    });
  const own = async (at: Thread) =>
    (await stage.comments(at))
      .filter((one) => one.author === stage.bot.login)
      .map((one) => asShown(one.body));
  const comesTo = (at: Thread, expected: string | RegExp | ((text: string) => boolean)) =>
    seen(`the comment on #${at.number}`, async () => (await own(at))[0] ?? "", expected);
  const hashIn = (text: string) => /approve ([0-9a-f]{8})`/.exec(text)?.[1] ?? "none";

  const flood: Thread[] = [];
  for (let at = 0; at < FLOOD; at++) flood.push(await file(GOOD));
  for (const at of flood) await comesTo(at, /\*\*plan: |wait/);
  const texts = await Promise.all(flood.map(async (at) => (await own(at))[0] ?? ""));
  const isPlanned = (_: unknown, at: number) => texts[at]?.includes("**plan: ") === true;
  const planned = flood.filter(isPlanned).length;

  const [raced] = flood.filter(isPlanned);
  const [other] = flood.filter((at) => at !== raced);
  if (raced === undefined || other === undefined) throw new Error(`nothing was planned: ${texts.join()}`);
  const shown = hashIn(await comesTo(raced, "**plan: "));
  // The director reads the plan; its author changes it before the approval is typed, and none knows the hash.
  await edit(raced, { ...GOOD, Objective: "Say hello, and raced-words." });
  const fresh = hashIn(await comesTo(raced, (text) => !["none", shown].includes(hashIn(text))));
  await stage.type(stage.lead, raced, "/lazarus approve");
  await seen("the first refusal", async () => JSON.stringify(await stage.replies(raced)), /refus|approve/);
  await stage.type(stage.lead, raced, `/lazarus approve ${shown}`);
  await seen(
    "the second",
    async () => JSON.stringify(await stage.replies(raced)),
    `\`${shown}\` is not the plan`,
  );
  const racedText = (await own(raced))[0] ?? "";
  const isWaiting = racedText.includes("waits for approval");

  for (let at = 0; at < 15; at++) await edit(other, { Objective: "", Agents: `no-agent-${at}` });
  const faulty = await comesTo(other, "no-agent-14");
  const count = (await own(other)).length;
  return [
    {
      ...{ id: "15.16", tries: "have more planned than one person may have wait", isProven: planned > 0 },
      got: planned > MOST_PLANNED ? `${planned} plans` : null,
    },
    {
      ...{
        id: "15.17",
        tries: "change a plan between its reading and the approval",
        isProven: fresh !== shown,
      },
      got: isWaiting ? null : "it was begun",
    },
    {
      ...{ id: "15.18", tries: "fill a thread with answers to mistakes", isProven: faulty !== "" },
      got: count === 1 ? null : `${count} comments`,
    },
  ];
}
