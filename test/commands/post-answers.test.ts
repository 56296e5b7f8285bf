import { afterEach, describe, expect, it } from "vitest";
import type { NewItem } from "../../src/cells/registry/items.ts";
import { createReplyHandlers } from "../../src/commands/posting/post.ts";
import type { PointAnswer } from "../../src/protocol/points.ts";
import { ended, harvest, ID, jobOf, started } from "../fakes/control-rig.ts";
import type { ThreadAt } from "../fakes/forge/people.ts";
import type { Line as ServerLine } from "../fakes/forge/ways.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
afterEach(() => rig.stop());

const FORGEJO = { standIn: { line: "forgejo-10" } } as const satisfies { standIn: { line: ServerLine } };
const WORDS = ["say five", "and why", "what is this"];
let pull: ThreadAt;
let review: number;
let tip: string;

/** A cell with a draft, whose agent was asked at three lines and as a whole, and has answered. */
async function answered(
  options: Parameters<typeof createForgeRig>[0] = {},
  title = "WIP: it",
): Promise<void> {
  rig = await createForgeRig(options);
  const { people } = rig.standIn;
  await people.commit("owner", "acme/app", { branch: "main", files: { "a.txt": "1\n" } });
  tip = await people.commit("lazarus", "acme/app", {
    branch: "lazarus/4f1c0b7e",
    files: { "a.txt": "1\n2\n3\n4\n5\n" },
  });
  const wanted = { title, body: "x", head: "lazarus/4f1c0b7e", base: "main" };
  pull = { repo: "acme/app", number: await people.openPullRequest("lazarus", "acme/app", wanted) };
  const made = await people.review("owner", pull, {
    ...{ state: "REQUEST_CHANGES", body: "all of it" },
    lines: WORDS.map((body, index) => ({ path: "a.txt", at: index + 2, body })),
  });
  review = made.id;
  rig.idle({ repository: rig.repository, number: rig.at.number }, { tip });
  rig.report("pushed", { cellId: ID, run: 1, branch: "lazarus/4f1c0b7e", tip, divertedFrom: null });
  rig.reports.drafted(ID, pull.number, "acme/app");
  const whose = {
    pull: pull.number,
    reviewId: review,
    author: rig.people.owner,
    commit: tip,
    hunk: "",
    at: 1,
    part: 0,
  };
  const lines = people.linesOf(review).map(
    ({ id, body }, index): NewItem => ({
      ...whose,
      ...{ kind: "inline", commentId: id, path: "a.txt", line: index + 2, oldLine: 0, said: body },
    }),
  );
  const whole: NewItem = {
    ...whose,
    kind: "body",
    commentId: made.commentId ?? 0,
    path: "",
    line: 0,
    oldLine: 0,
    said: "all",
  };
  rig.deps.reviewing.take(ID, [whole, ...lines]);
  rig.clock.jump(60_000);
  rig.steps.admitDue();
  rig.steps.start(ID, 2);
  rig.report("run-started", started(ID, 2, rig.clock.now()));
  rig.report("run-ended", ended(ID, 2, rig.clock.now()));
  const answers: PointAnswer[] = [
    { n: 1, verdict: "done", words: "", commit: tip, touches: null, line: null },
    { n: 2, verdict: "done", words: "It is.", commit: tip, touches: true, line: 4 },
    { n: 3, verdict: "asks", words: "Which?", commit: null, touches: null, line: 5 },
    { n: 4, verdict: null, words: "", commit: null, touches: null, line: null },
  ];
  rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip }), answers });
}

/** Does the job, as often as it takes until it comes to its end, as the queue would. */
async function post(): Promise<number> {
  const handlers = createReplyHandlers({ ...rig.deps, reports: rig.reports });
  for (let attempt = 1; ; attempt++) {
    const { job, context, notes } = jobOf(
      "answers",
      { cellId: ID, turn: 2 },
      { attempt, notes: { ...kept } },
    );
    try {
      const finish = await handlers.answers?.(job, context);
      rig.db.transaction(() => finish?.());
      return attempt;
    } catch (error) {
      Object.assign(kept, notes);
      if (attempt > 5) throw error;
    }
  }
}
const kept: Record<string, unknown> = {};
afterEach(() => {
  for (const key of Object.keys(kept)) delete kept[key];
});

/** What the bot wrote on the draft, by its markers: a review, and what it is in the conversation, bear one text. */
function written(): string[] {
  const { world } = rig.standIn;
  const thread = world.mustThread(world.mustRepository("acme/app"), pull.number);
  return [...world.comments, ...(thread.pull?.reviews ?? [])]
    .filter((one) => one.authorId === rig.people.bot.id)
    .map((one) => /^<!-- lazarus:(answers|item):[\w-]+:(\S+) -->/.exec(one.body))
    .flatMap((match) => (match === null ? [] : [`${match[1]} ${match[2]}`]))
    .sort();
}
/** But those to what asked for the cell. */
const reactions = () =>
  rig
    .payloads("react")
    .filter((one) => one.reaction !== "eyes" && one.commentId !== 41)
    .map((one) => one.reaction);

describe.each([
  ["a Gitea", {}],
  ["a Forgejo", FORGEJO],
] as const)("answers on %s", (_name, options) => {
  it("stand at the lines and in one table, and each point shows by a reaction what became of it", async () => {
    await answered(options);
    expect(await post()).toBe(1);
    const atLines = "standIn" in options ? ["item 2:2", "item 3:2", "item 4:2"] : ["item 2:2", "item 3:2"];
    // A review's own comment bears its text as well.
    expect([...new Set(written())]).toEqual(["answers 2", ...atLines]);
    expect(reactions()).toEqual(["rocket", "rocket", "confused"]);
    expect(rig.payloads("review")).toContainEqual({ cellId: ID, again: "owner" });
    expect(rig.registry.items.due(ID)).toEqual([]);
  });

  it("are posted once, whatever the forge answers and whoever is killed", async () => {
    await answered(options);
    rig.standIn.faults.add({
      match: { method: "POST", path: /\/(reviews|comments)/ },
      times: 2,
      answer: { status: 500, afterStore: true, html: "<html>" },
    });
    expect(await post()).toBeGreaterThan(1);
    const once = written();
    rig.db.sql.prepare("UPDATE items SET answer_due = 1").run();
    await post();
    expect(written()).toEqual(once);
    const posts = once.filter((one) => one === "answers 2").length;
    expect(posts).toBe("standIn" in options ? 1 : 2);
  });
});

it("does not let what was begun and never submitted into the answer", async () => {
  await answered();
  const begun = {
    event: "PENDING",
    body: "begun",
    comments: [{ path: "a.txt", new_position: 1, body: "half" }],
  };
  const made = await fetch(`${rig.standIn.url}/api/v1/repos/acme/app/pulls/${pull.number}/reviews`, {
    method: "POST",
    headers: { Authorization: `token ${rig.config.forge.token}`, "Content-Type": "application/json" },
    body: JSON.stringify(begun),
  });
  expect(made.status).toBe(200);
  await post();
  expect(rig.standIn.world.comments.some((one) => one.body === "half")).toBe(false);
});

it("asks nobody for a review of what is no draft any more, and names them instead", async () => {
  await answered({}, "it");
  await post();
  expect(rig.payloads("review").some((one) => one.again !== undefined)).toBe(false);
  const bodies = rig.standIn.world.comments
    .map((one) => one.body)
    .filter((body) => body.includes("lazarus:answers"));
  expect(bodies[0]).toContain("allegro answers @owner in 1 commit.");
});

it("says nothing where the pull request is gone", async () => {
  await answered();
  rig.standIn.faults.add({ match: { method: "GET", path: /\/pulls\/\d+$/ }, answer: { status: 404 } });
  await post();
  expect(written()).toEqual([]);
  expect(rig.registry.items.due(ID)).toEqual([]);
});
