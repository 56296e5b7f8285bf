import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import type { Death } from "./deadly-fs.ts";
import { ANSWERS, askForChanges, drafted, isAnswered, itemsOf, POINTS } from "./reviewing.ts";
import { type ChaosRig, chaos, type RigOptions, until } from "./rig.ts";

const SOON: RigOptions = { agent: ANSWERS, more: { limits: { review_wait: "1s" } } };
const ITEMS_GIVEN = "UPDATE items SET state = 'given'";

/** A review comes in, and Lazarus dies over it; then it is served again. */
async function dieOverReview(rig: ChaosRig, death: Death): Promise<void> {
  await drafted(rig);
  const dying = await rig.serveUntil(death);
  await askForChanges(rig);
  await dying.died();
}

describe("a review that asks for changes", () => {
  const deaths: readonly [string, Death][] = [
    ["once its lines were read", { at: "forge.lineComments", when: "after" }],
    ["as its points were written down", { at: "sql", when: "before", match: "INTO items" }],
    ["right after they were", { at: "sql", when: "after", match: "INTO items" }],
    ["before its points stood in the prompt", { at: "sql", when: "before", match: ITEMS_GIVEN }],
    ["before its agent was started", { at: "backend.start", when: "before", match: '"run":2' }],
    ["when its agent was started", { at: "backend.start", when: "after", match: '"run":2' }],
    ["when it had ended", { at: "sql", when: "after", match: 'INTO jobs.*"kind":"collect"' }],
    ["while its answers were read", { at: "fs.open", when: "after", match: "/2\\.json" }],
    ["before they were posted", { at: "forge.postReview", when: "before" }],
    ["right after they were posted", { at: "forge.postReview", when: "after" }],
    ["before a point was told that it is done", { at: "forge.react", when: "before", match: "rocket" }],
    ["right after a point was told that it is done", { at: "forge.react", when: "after", match: "rocket" }],
    ["before its author was asked again", { at: "forge.requestReview", when: "before" }],
    ["right after that", { at: "forge.requestReview", when: "after" }],
  ];
  for (const [what, death] of deaths)
    chaos(`is answered once by a server that was killed ${what}`, SOON, async (rig) => {
      await dieOverReview(rig, death);
      await rig.serve();
      await isAnswered(rig);
    });

  chaos(
    "waits on for its time after a kill, and begins when that has come",
    { agent: ANSWERS, more: { limits: { review_wait: "1h" } } },
    async (rig) => {
      await dieOverReview(rig, { at: "sql", when: "after", match: "INTO items" });
      const turn = () =>
        rig.query<{ state: string; not_before: number }>("SELECT state, not_before FROM runs WHERE n = 2");
      const before = turn();
      expect(before).toMatchObject([{ state: "waiting" }]);
      await rig.serve();
      await until("nothing is left to do", () => rig.openJobs().length === 0);
      expect(turn()).toEqual(before);
      await rig.kill();
      // The hour passes while nobody serves.
      rig.query("UPDATE runs SET not_before = not_before - 3600000 WHERE n = 2");
      await rig.serve();
      await isAnswered(rig);
    },
  );

  chaos("is given byte for byte what was written down before the kill", SOON, async (rig) => {
    await dieOverReview(rig, { at: "sql", when: "after", match: ITEMS_GIVEN });
    const prompt = () =>
      rig.query<{ text: string; sha256: string; given_sha256: string | null }>(
        "SELECT text, sha256, given_sha256 FROM prompts WHERE run = 2",
      )[0];
    const before = prompt();
    expect(before).toMatchObject({ given_sha256: null });
    // What was given is given: nobody reads it again.
    const { people, world } = rig.standIn;
    const line = world.comments.find((one) => one.body === "say five");
    await people.editComment("dev", line?.id ?? 0, "say six");
    await rig.serve();
    await isAnswered(rig);
    expect(prompt()).toMatchObject({ text: before?.text, sha256: before?.sha256 });
    const file = join(rig.lazarus.missionsDir, rig.cell().id, "config/prompts/2.md");
    const [asked, kept] = [join(rig.dir, "asked-2"), file].map((path) => readFileSync(path, "utf8"));
    expect(asked).toBe(kept);
    expect(asked).toContain("say five");
  });

  for (const when of ["instead", "after"] as const)
    chaos(`is answered once where the push of its work was killed (${when})`, SOON, async (rig) => {
      await drafted(rig);
      rig.ambush("git", "push", when);
      await rig.serve();
      await askForChanges(rig);
      await rig.ambushed();
      expect(itemsOf(rig).map((one) => one.answer_due)).toEqual([1, 1, 1]);
      // As long as nobody can see the work nobody is told of it.
      const refusing = rig.standIn.faults.add({
        match: { path: /git-receive-pack/ },
        times: Number.POSITIVE_INFINITY,
        answer: { status: 503 },
      });
      await rig.serve();
      if (when === "instead") {
        const isTried = "SELECT 1 FROM jobs WHERE kind = 'push' AND error IS NOT NULL";
        await until("the push was refused", () => rig.query(isTried).length > 0);
        expect(rig.query("SELECT 1 FROM jobs WHERE kind = 'answers'")).toEqual([]);
      }
      refusing();
      await isAnswered(rig);
    });

  for (const [what, answer] of [
    ["answers 500", { status: 500, html: "<h1>oops</h1>", afterStore: true }],
    ["cuts the connection", "reset-after-store"],
  ] as const)
    chaos(`is answered once by a forge that stores and ${what}, after half an answer`, SOON, async (rig) => {
      const number = await drafted(rig);
      // As an attempt leaves it that was cut off: the next review would have it for a part of its own.
      await rig.standIn.people.review(
        "lazarus",
        { repo: "acme/app", number },
        {
          ...{ state: "PENDING", body: "" },
          lines: [{ path: "work.txt", at: 5, body: `<!-- lazarus:item:${rig.cell().id}:2 -->\nhalf` }],
        },
      );
      rig.standIn.faults.add({ match: { method: "POST", path: /\/reviews$/ }, answer });
      await rig.serve();
      await askForChanges(rig);
      await isAnswered(rig);
    });

  for (const [what, match] of [
    ["first", ":2:2 -->"],
    ["last", ":3:2 -->"],
  ] as const)
    chaos(
      `is answered once in its own threads where the ${what} answer was posted right before the kill`,
      { ...SOON, line: "forgejo-10" },
      async (rig) => {
        await dieOverReview(rig, { at: "forge.replyAtLine", when: "after", match });
        await rig.serve();
        await isAnswered(rig);
      },
    );

  chaos("is taken once from a review of a server that was down", SOON, async (rig) => {
    await drafted(rig);
    await askForChanges(rig);
    await rig.serve();
    await isAnswered(rig);
    expect(itemsOf(rig)).toHaveLength(POINTS);
  });
});
