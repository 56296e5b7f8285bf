import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { type ChaosRig, COMMIT, COMMIT_AND_STAY, COMMIT_ON_GO, chaos, isAlive, until } from "./rig.ts";

const SUMMON = "/lazarus summon allegro";

/** A process that is none of ours, whose number a stale handle may bear. */
function startVictim(): ChildProcess & { pid: number } {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  if (child.pid === undefined) throw new Error("no victim");
  return child as ChildProcess & { pid: number };
}

/** Sends KILL to the whole session of the run: its shim cannot write how it ended. */
async function killSession(rig: ChaosRig): Promise<void> {
  const { pid } = rig.handle();
  process.kill(-pid, "SIGKILL");
  await until("the session is dead", () => !isAlive(pid));
}

function exitFile(rig: ChaosRig): string {
  return join(rig.lazarus.missionsDir, rig.cell().id, "state", "exit.json");
}

describe("spawned, not yet written down", () => {
  chaos(
    "adopts the agent that it started right before it was killed",
    { agent: COMMIT_ON_GO },
    async (rig) => {
      const dying = await rig.serveUntil({ at: "backend.start", when: "after" });
      await rig.say(SUMMON);
      await dying.died();
      await until("the agent runs", () => rig.exists("ran"));
      expect(rig.cell().state).toBe("proposed");
      await rig.serve();
      await rig.cellIs("active");
      rig.go();
      await rig.comesTo({ state: "idle", outcome: "done" });
    },
  );

  chaos("finds what the agent did, when it ended before anybody knew of it", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "backend.start", when: "after" });
    await rig.say(SUMMON);
    await dying.died();
    await until("the agent has ended", () => existsSync(exitFile(rig)));
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos(
    "watches the agent whose start was reported, but not heard, when it was killed",
    { agent: COMMIT_ON_GO },
    async (rig) => {
      await rig.serve();
      await rig.say(SUMMON);
      await rig.cellIs("active");
      await until("nothing is left to do", () => rig.openJobs().length === 0);
      await rig.kill();
      // As it is between the end of the start and the handling of its report.
      rig.query("UPDATE runs SET state = 'admitted', started_at = NULL, handle = NULL, log_path = NULL");
      rig.query("UPDATE cells SET state = 'proposed'");
      rig.query("DELETE FROM history WHERE \"to\" = 'active'");
      rig.query("UPDATE jobs SET state = 'waiting', ended_at = NULL WHERE kind = 'run-started'");
      await rig.serve();
      await rig.cellIs("active");
      rig.go();
      await rig.comesTo({ state: "idle", outcome: "done" });
    },
  );

  chaos("starts no second agent when it was killed as the first took its lock", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "backend.lock", when: "after" });
    await rig.say(SUMMON);
    await dying.died();
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos("starts the agent that it was just about to start", {}, async (rig) => {
    const dying = await rig.serveUntil({ at: "backend.start", when: "before" });
    await rig.say(SUMMON);
    await dying.died();
    expect(rig.exists("ran")).toBe(false);
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });
});

describe("an agent killed together with its shim", () => {
  chaos("brings back what it had committed", { agent: COMMIT_AND_STAY }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await until("the agent has committed", () => rig.exists("committed"));
    await rig.cellIs("active");
    await killSession(rig);
    await rig.comesTo({ state: "idle", outcome: "failed", replies: 1 });
    expect(rig.card()).toContain("1 commit");
  });

  chaos("brings it back also when Lazarus was down meanwhile", { agent: COMMIT_AND_STAY }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await until("the agent has committed", () => rig.exists("committed"));
    await rig.cellIs("active");
    await rig.kill();
    await killSession(rig);
    expect(existsSync(exitFile(rig))).toBe(false);
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "failed", replies: 1 });
  });
});

describe("a pid that was given to somebody else", () => {
  const foreign: [string, (handle: object) => object][] = [
    ["another boot", (handle) => ({ ...handle, bootId: "00000000-0000-4000-8000-000000000000" })],
    ["another start time", (handle) => ({ ...handle, startTicks: 1 })],
  ];

  for (const [what, spoil] of foreign) {
    chaos(`is not taken for the run after ${what}`, { agent: COMMIT_AND_STAY }, async (rig) => {
      const victim = startVictim();
      try {
        await rig.serve();
        await rig.say(SUMMON);
        await until("the agent has committed", () => rig.exists("committed"));
        await rig.cellIs("active");
        await rig.kill();
        await killSession(rig);
        rig.query("UPDATE runs SET handle = ?", JSON.stringify(spoil({ ...rig.handle(), pid: victim.pid })));
        await rig.serve();
        await rig.comesTo({ state: "idle", outcome: "failed", replies: 1 });
        expect(isAlive(victim.pid)).toBe(true);
      } finally {
        victim.kill("SIGKILL");
      }
    });

    chaos(`is not signalled by a stop after ${what}`, { agent: COMMIT_AND_STAY }, async (rig) => {
      const victim = startVictim();
      try {
        const dying = await rig.serveUntil({ at: "backend.stop", when: "before" });
        await rig.say(SUMMON);
        await until("the agent has committed", () => rig.exists("committed"));
        await rig.cellIs("active");
        await rig.say("/lazarus stop");
        await dying.died();
        await killSession(rig);
        const handle = spoil({ ...rig.handle(), pid: victim.pid });
        rig.query("UPDATE runs SET handle = ?", JSON.stringify(handle));
        const changed = rig.query<{ changes: number }>(
          "UPDATE jobs SET payload = json_set(payload, '$.handle', json(?)) WHERE kind = 'stop' AND state = 'running'",
          JSON.stringify(handle),
        );
        expect(changed[0]?.changes).toBe(1);
        await rig.serve();
        await rig.comesTo({ state: "idle", outcome: "done" });
        expect(isAlive(victim.pid)).toBe(true);
      } finally {
        victim.kill("SIGKILL");
      }
    });
  }
});

describe("an agent that ended while Lazarus was down", () => {
  chaos("is noticed by its exit record", { agent: COMMIT_ON_GO }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.cellIs("active");
    await rig.kill();
    rig.go();
    await until("it has ended", () => existsSync(exitFile(rig)));
    await rig.serve();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });

  chaos(
    "keeps the code it ended with",
    { agent: `while [ ! -e "$go" ]; do sleep 0.02; done; ${COMMIT}; exit 3` },
    async (rig) => {
      await rig.serve();
      await rig.say(SUMMON);
      await rig.cellIs("active");
      await rig.kill();
      rig.go();
      await until("it has ended", () => existsSync(exitFile(rig)));
      expect(JSON.parse(readFileSync(exitFile(rig), "utf8"))).toMatchObject({ code: 3 });
      await rig.serve();
      await rig.comesTo({ state: "idle", outcome: "failed", replies: 1 });
      expect(rig.card()).toContain("exit 3");
    },
  );
});
