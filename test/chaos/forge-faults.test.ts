import { describe, expect } from "vitest";
import type { FaultRule } from "../fakes/forge/faults.ts";
import { COMMIT_AND_STAY, COMMIT_ON_GO, chaos, until } from "./rig.ts";

const SUMMON = "/lazarus summon allegro";
const READ = { method: "GET", path: /\/issues\/\d+\/comments/ };
const PERMISSION = { method: "GET", path: /\/collaborators\/[^/]+\/permission/ };
const COMMENT = { method: "POST", path: /\/issues\/\d+\/comments$/ };
const REACT = { method: "POST", path: /\/reactions$/ };
const PULL = { method: "POST", path: /\/pulls$/ };
const CLONE = { path: /git-upload-pack/ };
const PUSH = { path: /git-receive-pack/ };

/** What happens to one request of each kind; `git` where git itself would take it for a refusal. */
const FAULTS: [string, FaultRule["answer"], readonly FaultRule["match"][]][] = [
  ["cuts connections", "reset", [READ, PERMISSION, COMMENT, REACT, PULL, CLONE, PUSH]],
  ["answers 500", { status: 500, body: "{}" }, [READ, PERMISSION, COMMENT, REACT, PULL, CLONE, PUSH]],
  ["answers by half", "half", [READ, PERMISSION, COMMENT, REACT, PULL]],
  [
    "answers 429",
    { status: 429, body: "{}", headers: { "Retry-After": "1" } },
    [READ, PERMISSION, COMMENT, REACT, PULL, CLONE, PUSH],
  ],
  [
    "has a proxy in front that answers a page",
    { status: 404, html: "<h1>no backend</h1>" },
    [READ, PERMISSION, COMMENT, REACT, PULL],
  ],
  [
    "does not know the token for a while",
    { status: 401, body: '{"message":"invalid username, password or token"}' },
    [READ, PERMISSION, COMMENT, REACT, PULL],
  ],
];

describe("a forge that", () => {
  for (const [what, answer, matches] of FAULTS) {
    chaos(`${what} has everything done all the same, and once`, {}, async (rig) => {
      await rig.serve();
      for (const match of matches) rig.standIn.faults.add({ match, answer });
      const id = await rig.say(SUMMON);
      await rig.comesTo({ state: "idle", outcome: "done" });
      expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
      expect(rig.card()).not.toContain("tried again");
    });
  }

  chaos(
    "never answers, having stored what was sent, is asked again and told nothing twice",
    {},
    async (rig) => {
      await rig.serve();
      rig.standIn.faults.add({ match: COMMENT, answer: "hang-after-store" });
      rig.standIn.faults.add({ match: PULL, answer: "hang-after-store" });
      await rig.say(SUMMON);
      await rig.comesTo({ state: "idle", outcome: "done" });
    },
  );

  chaos("is down when somebody is heard is asked when it is back", {}, async (rig) => {
    await rig.serve();
    await rig.gate.shut();
    await rig.say(SUMMON);
    await until("a job waits for the forge", () => rig.log.includes("will be tried again"));
    await rig.gate.reopen();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("is down when a run ends gets its work when it is back", { agent: COMMIT_ON_GO }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.cellIs("active");
    await rig.gate.shut();
    rig.go();
    await until("the push waits", () =>
      rig.openJobs().some((job) => job.kind === "push" && job.error !== null),
    );
    expect(rig.cell().state).toBe("idle");
    await rig.gate.reopen();
    await rig.comesTo({ state: "idle", outcome: "done" });
    expect(rig.card()).not.toContain("tried again");
  });

  chaos("refuses a draft has it said on the card, and opened when asked again", {}, async (rig) => {
    await rig.serve();
    rig.standIn.faults.add({ match: PULL, answer: { status: 423, body: '{"message":"is locked"}' } });
    await rig.say(SUMMON);
    await until("the card says so", () => rig.card().includes("the forge answered 423: is locked"));
    const [dead] = rig.query<{ id: string }>("SELECT id FROM jobs WHERE state = 'dead'");
    expect((await rig.lazarus.cli("jobs", "retry", dead?.id ?? "")).code).toBe(0);
    await rig.comesTo({ state: "idle", outcome: "done" });
    expect(rig.card()).not.toContain("423");
  });

  chaos("refuses a push has it said on the card, and pushed by close", {}, async (rig) => {
    await rig.serve();
    rig.standIn.faults.add({ match: PUSH, answer: { status: 403, body: "" } });
    await rig.say(SUMMON);
    await until("the card says so", () => rig.card().includes("the forge refuses the bot (403)"));
    expect(rig.cell().state).toBe("idle");
    await rig.say("/lazarus close");
    await rig.comesTo({ state: "archived", outcome: "done", replies: 1 });
  });

  chaos(
    "is away uses up no attempts, and what waits goes at once when it answers again",
    { agent: COMMIT_ON_GO },
    async (rig) => {
      await rig.serve();
      await rig.say(SUMMON);
      await rig.cellIs("active");
      await rig.gate.shut();
      rig.go();
      const waiting = () =>
        rig.query<{ kind: string; counted: number; ms: number }>(
          "SELECT kind, attempt - outages AS counted, not_before - put_at AS ms FROM jobs WHERE in_outage = 1",
        );
      await until("the work and the card wait", () =>
        ["push", "card"].every((kind) => waiting().some((job) => job.kind === kind)),
      );
      expect(waiting().map((job) => job.counted)).toEqual(waiting().map(() => 0));
      // By themselves they would be tried again in five minutes: longer than this test may take.
      expect(Math.min(...waiting().map((job) => job.ms))).toBeGreaterThan(250_000);
      await rig.gate.reopen();
      await rig.comesTo({ state: "idle", outcome: "done" });
    },
  );

  chaos("is away does not keep `stop` waiting", { agent: COMMIT_AND_STAY }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.cellIs("active");
    await until("the agent committed", () => rig.exists("committed"));
    await rig.gate.shut();
    const stopped = await rig.lazarus.cli("--json", "stop", rig.cell().id);
    expect(stopped.code).toBe(5);
    expect(JSON.parse(stopped.stdout)).toMatchObject({
      id: rig.cell().id,
      waits_for_forge: expect.arrayContaining(["publishing its work"]),
    });
    expect(rig.cell().state).toBe("idle");
    await rig.gate.reopen();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("is away does not keep a command line waiting that serves itself", {}, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.comesTo({ state: "idle", outcome: "done" });
    await rig.kill();
    await rig.gate.shut();
    const revived = await rig.lazarus.cli("revive", rig.cell().id);
    expect(revived.code).toBe(5);
    expect(revived.stderr).toContain("The forge cannot be reached");
    await rig.gate.reopen();
    await rig.serve();
    const runs = () => rig.query<{ state: string }>("SELECT state FROM runs").map((run) => run.state);
    await until("its second run ended", () => runs().join() === "ended,ended");
    await until("nothing is left to do", () => rig.openJobs().length === 0);
    expect(rig.cell().state).toBe("idle");
  });
});
