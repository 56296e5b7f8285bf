import { describe, expect } from "vitest";
import type { FaultRule } from "../fakes/forge/faults.ts";
import { git } from "../fakes/forge/git.ts";
import { chaos, until } from "./rig.ts";

const SUMMON = "/lazarus summon allegro";
const COMMENT = { method: "POST", path: /\/issues\/\d+\/comments$/ };
const PULL = { method: "POST", path: /\/pulls$/ };

/** What a forge does that stores and then loses its answer. */
const LOST: [string, FaultRule["answer"]][] = [
  ["answers 500", { status: 500, html: "<h1>oops</h1>", afterStore: true }],
  ["cuts the connection", "reset-after-store"],
];

describe("posted, the answer lost", () => {
  for (const [what, answer] of LOST) {
    chaos(`posts one card and one draft where the forge stores and ${what}`, {}, async (rig) => {
      rig.standIn.faults.add({ match: COMMENT, answer });
      rig.standIn.faults.add({ match: PULL, answer });
      await rig.serve();
      await rig.say(SUMMON);
      await rig.comesTo({ state: "idle", outcome: "done" });
    });

    chaos(`posts one reply where the forge stores and ${what}`, {}, async (rig) => {
      await rig.serve();
      await rig.say(SUMMON);
      await rig.comesTo({ state: "idle" });
      rig.standIn.faults.add({ match: COMMENT, answer });
      await rig.say("/lazarus why");
      await until("the reply is there", () => rig.botComments().length === 2);
      await rig.comesTo({ state: "idle", replies: 1 });
    });
  }

  chaos("finds the card that was posted right before the kill", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.postComment", when: "after", match: "lazarus:card" });
    await rig.say(SUMMON);
    await dying.died();
    expect(rig.botComments()).toHaveLength(1);
    expect(rig.cell().card_id).toBeNull();
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("finds the reply that was posted right before the kill", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.postComment", when: "after", match: "lazarus:reply" });
    const id = await rig.say("/lazarus summon allgro");
    await dying.died();
    expect(rig.botComments()).toHaveLength(1);
    await rig.serve();
    await until("the command is answered", () => rig.openJobs().length === 0);
    expect(rig.botComments()).toHaveLength(1);
    expect(rig.reactions(id).sort()).toEqual(["confused", "eyes"]);
  });

  chaos(
    "counts once what was posted right before the kill, and not what was undone by it",
    {},
    async (rig) => {
      rig.standIn.people.createUser("stranger");
      const wrong = (text: string) =>
        rig.standIn.people.comment("stranger", { repo: "acme/app", number: rig.issue }, `/lazarus ${text}`);
      // Its answer is posted; the transaction that would end its job is not made.
      const posting = await rig.serveUntil({
        at: "forge.postComment",
        when: "after",
        match: "lazarus:reply",
      });
      await wrong("sumon one");
      await posting.died();
      // The refusal and its count are one transaction: here neither is there yet.
      const reading = await rig.serveUntil({ at: "forge.comments", when: "after" });
      await wrong("sumon two");
      await reading.died();
      await rig.serve();
      const told = () => rig.query<{ person: number }>("SELECT person FROM unasked").length;
      await until("both are counted", () => told() === 2 && rig.openJobs().length === 0);
      expect(rig.botComments()).toHaveLength(2);
      for (const text of ["sumon three", "sumon four"]) await wrong(text);
      await until("the rest is read", () => told() === 3 && rig.openJobs().length === 0);
      expect(rig.botComments()).toHaveLength(3);
    },
  );

  chaos("finds the draft that was opened right before the kill", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.openPullRequest", when: "after" });
    await rig.say(SUMMON);
    await dying.died();
    expect(rig.standIn.people.pullRequests("acme/app")).toHaveLength(1);
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
    const [pull] = rig.standIn.people.pullRequests("acme/app");
    expect(rig.cell().pull_request).toBe(pull?.number);
  });

  chaos("opens the draft that it was about to open", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "forge.openPullRequest", when: "before" });
    await rig.say(SUMMON);
    await dying.died();
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });
});

describe("pushed, not yet written down", () => {
  chaos("takes the tip that is there already for done", {}, async (rig) => {
    rig.ambush("git", "push", "after");
    await rig.serve();
    await rig.say(SUMMON);
    await rig.ambushed();
    expect(rig.cell().published_tip).toBeNull();
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("pushes what a killed push did not", {}, async (rig) => {
    rig.ambush("git", "push", "instead");
    await rig.serve();
    await rig.say(SUMMON);
    await rig.ambushed();
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("is not disturbed by the push of the dead that arrives late", {}, async (rig) => {
    rig.ambush("git", "push", "late");
    await rig.serve();
    await rig.say(SUMMON);
    await rig.ambushed();
    await rig.serve();
    await until("the late push came", () => rig.exists("late"));
    await rig.comesTo({ state: "idle", outcome: "done" });
    const { dir } = rig.standIn.world.mustRepository("acme/app");
    expect(await git(dir, ["rev-parse", `refs/heads/${rig.cell().branch}`])).toBe(rig.cell().published_tip);
  });
});

describe("accepted, not yet handled", () => {
  const deaths = [
    ["between the commit of a delivery and its 202", { at: "http.202", when: "before" }],
    ["between the 202 and its handling", { at: "http.202", when: "after" }],
    ["while the thread is read", { at: "forge.comments", when: "after" }],
    ["while the command runs", { at: "forge.permission", when: "after" }],
    ["right after the reaction", { at: "forge.react", when: "after", match: "rocket" }],
  ] as const;
  for (const [what, death] of deaths) {
    chaos(`runs the command once when killed ${what}`, {}, async (rig) => {
      const dying = await rig.serveUntil(death);
      const id = await rig.say(SUMMON);
      await dying.died();
      await rig.serve();
      await rig.cellIs("idle");
      // The same delivery again, as somebody may press the button.
      for (const { uuid } of rig.standIn.deliveries
        .filter((one) => one.eventType === "issue_comment")
        .slice(0, 1))
        rig.standIn.redeliver(uuid);
      await rig.standIn.deliveriesDone();
      await rig.comesTo({ state: "idle", outcome: "done" });
      expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
    });
  }
});
