import { describe, expect } from "vitest";
import { formBody } from "../e2e/proposal-forms.ts";
import { type ChaosRig, chaos, until } from "./rig.ts";

const GOOD = { Objective: "Say hello.", "Acceptance criteria": "It says hello.", Agents: "allegro" };
const AT = { repo: "acme/app" };

const file = (rig: ChaosRig, values: object) =>
  rig.standIn.people.openIssue("dev", AT.repo, { title: "Mission: Say hello", body: formBody(values) });
const bots = (rig: ChaosRig, number: number) =>
  rig.standIn.people
    .comments(AT.repo, number)
    .filter((one) => one.authorId === rig.standIn.world.mustUser("lazarus").id)
    .map((one) => one.body);
const edit = (rig: ChaosRig, number: number, values: object) =>
  rig.standIn.people.editIssue("dev", { ...AT, number }, { body: formBody(values) });
/** Waits until the one comment on a proposal reads like that, and nothing is left to do. */
async function comesTo(rig: ChaosRig, number: number, expected: string | RegExp): Promise<string> {
  const text = () => bots(rig, number)[0] ?? "";
  const fits = () => (typeof expected === "string" ? text().includes(expected) : expected.test(text()));
  await until(`the comment reads like ${expected}`, () => fits() && rig.openJobs().length === 0);
  expect(bots(rig, number)).toHaveLength(1);
  return text();
}
const hashIn = (text: string) => /approve ([0-9a-f]{8})`/.exec(text)?.[1] ?? "";

describe("a proposal", () => {
  chaos("finds the comment that was posted right before the kill, and makes it the card", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.postComment", when: "after", match: "lazarus:proposal" });
    const number = await file(rig, {});
    await dying.died();
    expect(bots(rig, number)).toHaveLength(1);
    await rig.serve();
    await comesTo(rig, number, "things are in the way");
    await edit(rig, number, GOOD);
    await comesTo(rig, number, "**plan: allegro**");
    expect(rig.query("SELECT 1 FROM cells")).toHaveLength(1);
  });

  chaos("shows the plan although it was killed before its comment became the card", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.editComment", when: "before", match: "lazarus:card" });
    const number = await file(rig, {});
    await until("it is answered", () => bots(rig, number).length === 1);
    await edit(rig, number, GOOD);
    await dying.died();
    await rig.serve();
    await comesTo(rig, number, "**plan: allegro**");
  });

  for (const when of ["before", "after"] as const)
    chaos(`is planned once although it was killed ${when} its cell was written down`, {}, async (rig) => {
      const dying = await rig.serveUntil({ at: "sql", when, match: "INSERT INTO cells" });
      const number = await file(rig, GOOD);
      await dying.died();
      expect(rig.query("SELECT 1 FROM cells")).toHaveLength(when === "before" ? 0 : 1);
      await rig.serve();
      await comesTo(rig, number, "**plan: allegro**");
      expect(rig.query("SELECT 1 FROM cells")).toHaveLength(1);
      expect(rig.query("SELECT 1 FROM proposals WHERE cell IS NOT NULL")).toHaveLength(1);
    });

  chaos("that was edited between its approval and the next server waits for another one", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.react", when: "before", match: "eyes" });
    const number = await file(rig, GOOD);
    await until("it is planned", () => hashIn(bots(rig, number)[0] ?? "") !== "");
    const hash = hashIn(bots(rig, number)[0] ?? "");
    const id = await rig.standIn.people.comment("dev", { ...AT, number }, `/lazarus approve ${hash}`);
    await dying.died();
    await edit(rig, number, { ...GOOD, Objective: "Say something else." });
    await rig.serve();
    await until("it is refused", () => rig.reactions(id).includes("confused"));
    await until("nothing is left to do", () => rig.openJobs().length === 0);
    const text = bots(rig, number)[0] ?? "";
    expect(text).toContain("waits for approval");
    expect(hashIn(text)).not.toBe(hash);
    expect(rig.exists("ran")).toBe(false);
  });

  for (const word of ["eyes", "rocket"])
    chaos(
      `that was killed at the ${word} of its approval starts once, with what was approved`,
      {},
      async (rig) => {
        const dying = await rig.serveUntil({ at: "forge.react", when: "before", match: word });
        const number = await file(rig, GOOD);
        await until("it is planned", () => hashIn(bots(rig, number)[0] ?? "") !== "");
        const hash = hashIn(bots(rig, number)[0] ?? "");
        await rig.standIn.people.comment("dev", { ...AT, number }, `/lazarus approve ${hash}`);
        await dying.died();
        await rig.serve();
        await comesTo(rig, number, /\*\*allegro is done\*\*.*→ draft/);
        expect(
          rig.query<{ brief_sha256: string }>("SELECT brief_sha256 FROM cells")[0]?.brief_sha256,
        ).toMatch(new RegExp(`^${hash}`));
        expect(rig.standIn.people.pullRequests(AT.repo)).toHaveLength(1);
        expect(rig.query("SELECT 1 FROM runs")).toHaveLength(1);
      },
    );
});
