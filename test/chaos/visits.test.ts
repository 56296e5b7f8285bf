import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { type ChaosRig, chaos, until } from "./rig.ts";

const LOOKS = `echo "the work says $(cat hello.txt)" > "$LAZARUS_ARTIFACTS/reports/r.md"; echo spoiled > hello.txt; true`;
const LOOKS_ON_GO = `while [ ! -e "$go" ]; do sleep 0.02; done; ${LOOKS}`;

const WORKS = "echo hello >>hello.txt; git add hello.txt; git commit --quiet -m hello";

/** A cell that did its work, and a server that is about to die. */
async function madeCell(rig: ChaosRig): Promise<void> {
  await rig.serve();
  await rig.say("/lazarus summon allegro");
  await rig.comesTo({ state: "idle", outcome: "done" });
}

/** The cell is as it was; the report was posted once; nothing of the guest is left, or closed. */
async function isVisited(rig: ChaosRig): Promise<void> {
  await until("the report is posted", () => reports(rig).length > 0);
  await rig.comesTo({ state: "idle", outcome: "done", runs: 2 });
  expect(reports(rig)).toHaveLength(1);
  expect(reports(rig)[0]).toContain("> the work says hello");
  const cell = join(rig.lazarus.missionsDir, rig.cell().id);
  expect(readFileSync(join(cell, "worktree", "hello.txt"), "utf8")).toBe("hello\n");
  expect(existsSync(join(cell, "guests"))).toBe(false);
  // What was closed to the guest is open to whoever goes on.
  await rig.say("/lazarus revive");
  const isOver = "SELECT n FROM runs WHERE n = 3 AND collected_at IS NOT NULL";
  await until("the agent has run again", () => rig.query(isOver).length === 1);
  await rig.comesTo({ state: "idle", outcome: "done", runs: 3, commits: 2 });
}

function reports(rig: ChaosRig): string[] {
  return rig.standIn.world.comments
    .map((one) => one.body)
    .filter((body) => body.startsWith("<!-- lazarus:report:"));
}

describe("a visit", () => {
  for (const when of ["late", "hang"] as const) {
    chaos(
      `goes on after a kill while the tree was copied (${when})`,
      { agent: WORKS, guest: LOOKS },
      async (rig) => {
        await madeCell(rig);
        rig.ambush("git", "--no-hardlinks", when);
        await rig.say("/lazarus invite bot:kimi");
        await rig.ambushed();
        await rig.serve();
        await isVisited(rig);
      },
    );
  }

  const deaths = [
    ["before its agent was started", { at: "backend.start", when: "before" }],
    ["while it is cleared away", { at: "fs.rmdir", when: "before", match: "/guests" }],
    [
      "right after its report was posted",
      { at: "forge.postComment", when: "after", match: "lazarus:report" },
    ],
  ] as const;
  for (const [what, death] of deaths) {
    chaos(`goes on after a kill ${what}`, { agent: WORKS, guest: LOOKS }, async (rig) => {
      await madeCell(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus invite bot:kimi");
      await dying.died();
      await rig.serve();
      await isVisited(rig);
    });
  }

  chaos(
    "is adopted where it was started and not written down",
    { agent: WORKS, guest: LOOKS_ON_GO },
    async (rig) => {
      await madeCell(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil({ at: "backend.start", when: "after" });
      await rig.say("/lazarus invite bot:kimi");
      await dying.died();
      await until("the guest runs", () => readFileSync(join(rig.dir, "ran"), "utf8").length === 8);
      await rig.serve();
      await rig.cellIs("active");
      rig.go();
      await isVisited(rig);
    },
  );
});
