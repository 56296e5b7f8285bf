import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { tryGit, writeCommit } from "../fakes/forge/git.ts";
import { type ChaosRig, COMMIT, COMMIT_AND_STAY, COMMIT_ON_GO, chaos, livingOf, until } from "./rig.ts";

const SUMMON = "/lazarus summon allegro";

function inMissions(rig: ChaosRig): string[] {
  return existsSync(rig.lazarus.missionsDir) ? readdirSync(rig.lazarus.missionsDir) : [];
}

/** Whether there is half a cell, and no whole one. */
function isHalf(rig: ChaosRig, prefix: string): boolean {
  return inMissions(rig).every((name) => name.startsWith(prefix)) && inMissions(rig).length === 1;
}

describe("half a directory", () => {
  const kills = [
    ["fetch", "late"],
    ["clone", "instead"],
    ["clone", "late"],
    ["checkout", "late"],
  ] as const;
  for (const [word, when] of kills) {
    chaos(`makes the cell after a kill in git ${word} (${when})`, {}, async (rig) => {
      rig.ambush("git", word, when);
      await rig.serve();
      await rig.say(SUMMON);
      await rig.ambushed();
      expect(inMissions(rig).some((name) => !name.startsWith("."))).toBe(false);
      await rig.serve();
      if (when === "late") await until("the orphan has come to its end", () => rig.exists("late"));
      await rig.comesTo({ state: "idle", outcome: "done" });
    });
  }

  const deaths = [
    ["in the brief", { at: "fs.rename", when: "before", match: "brief.md" }, ".new-"],
    [
      "right before the rename",
      { at: "fs.rename", when: "before", match: 'missions/.new-[^/]*$|missions/.new-[^/"]*",' },
      ".new-",
    ],
    ["right after the rename", { at: "fs.rename", when: "after", match: 'missions/.new-[^/"]*",' }, ""],
    ["in the agent's home", { at: "fs.rename", when: "before", match: ".home-allegro" }, ""],
  ] as const;
  for (const [what, death, prefix] of deaths) {
    chaos(`makes the cell after a kill ${what}`, {}, async (rig) => {
      const dying = await rig.serveUntil(death);
      await rig.say(SUMMON);
      await dying.died();
      expect(isHalf(rig, prefix)).toBe(true);
      await rig.serve();
      await rig.comesTo({ state: "idle", outcome: "done" });
    });
  }
});

describe("a tree that waits", () => {
  chaos("is made anew after a kill while it is made", { more: { limits: { spares: 2 } } }, async (rig) => {
    const trees = () => inMissions(rig).filter((name) => name.startsWith(".new-"));
    rig.ambush("git", "--detach", "instead");
    await rig.serve();
    await rig.say(SUMMON);
    await rig.ambushed();
    const half = trees();
    expect(half).toHaveLength(1);
    await rig.serve();
    await rig.cellIs("idle");
    await until("nothing is left to do", () => rig.openJobs().length === 0);
    expect(trees()).toHaveLength(1);
    expect(trees()).not.toEqual(half);
    expect(await rig.lazarus.end()).toBe(0);
    await rig.serve();
    expect(trees()).toEqual([]);
  });
});

describe("what was being taken out of a cell", () => {
  for (const when of ["late", "hang"] as const) {
    chaos(`is taken out once after a kill in the bundle (${when})`, {}, async (rig) => {
      rig.ambush("git", "bundle", when);
      await rig.serve();
      await rig.say(SUMMON);
      await rig.ambushed();
      if (when === "hang") expect(livingOf(rig.cell().id)).not.toEqual([]);
      await rig.serve();
      await rig.comesTo({ state: "idle", outcome: "done" });
    });
  }
});

/** A cell that did its work and is idle. */
async function madeCell(rig: ChaosRig): Promise<void> {
  await rig.serve();
  await rig.say(SUMMON);
  await rig.comesTo({ state: "idle", outcome: "done" });
}

describe("a cell that is being closed", () => {
  for (const when of ["instead", "late"] as const) {
    chaos(`is sealed and emptied after a kill in tar (${when})`, {}, async (rig) => {
      await madeCell(rig);
      rig.ambush("tar", "--create", when);
      await rig.say("/lazarus close");
      await rig.ambushed();
      expect(rig.cell().state).toBe("closing");
      await rig.serve();
      await isSealed(rig);
    });
  }

  const deaths = [
    ["before the manifest", { at: "fs.rename", when: "before", match: "manifest.json" }],
    ["after the manifest", { at: "fs.rename", when: "after", match: "manifest.json" }],
    ["while it is emptied", { at: "fs.rmdir", when: "after", match: "worktree" }],
    ["between worktree and home", { at: "fs.mkdir", when: "before", match: "/proc/self/fd/\\d+/home" }],
  ] as const;
  for (const [what, death] of deaths) {
    chaos(`is sealed and emptied after a kill ${what}`, {}, async (rig) => {
      await madeCell(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus close");
      await dying.died();
      await rig.serve();
      await isSealed(rig);
    });
  }

  chaos(
    "publishes first when it was killed while its agent was being stopped",
    { agent: COMMIT_AND_STAY },
    async (rig) => {
      const dying = await rig.serveUntil({ at: "backend.stop", when: "before" });
      await rig.say(SUMMON);
      await until("the agent has committed", () => rig.exists("committed"));
      await rig.cellIs("active");
      const id = await rig.say("/lazarus close");
      await dying.died();
      await rig.serve();
      await isSealed(rig);
      expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
    },
  );
});

async function isSealed(rig: ChaosRig): Promise<void> {
  await rig.comesTo({ state: "archived", replies: 1 });
  const dir = join(rig.lazarus.missionsDir, rig.cell().id);
  expect(readdirSync(join(dir, "archive")).sort()).toEqual([
    "branch.bundle",
    "cell.tar.gz",
    "entries.jsonl.gz",
    "manifest.json",
  ]);
  expect(readdirSync(join(dir, "worktree"))).toEqual([]);
  expect(readdirSync(join(dir, "home"))).toEqual([]);
}

const LEAVES_MANY = `${COMMIT}; cd "$HOME"; seq -f many-%g 2000 | xargs touch`;

describe("a cell that is being destroyed", () => {
  const deaths = [
    ["as it leaves", { at: "fs.rename", when: "after", match: "\\.gone-" }],
    ["in the middle", { at: "fs.unlink", when: "after", match: "hello.txt" }],
    // In the middle, from whichever end they are listed: a child is at work by then.
    ["of its child in the middle", { at: "fs.unlink", when: "after", match: '/many-1000"' }],
    ["when it was gone", { at: "fs.rmdir", when: "after", match: "\\.gone-" }],
  ] as const;
  for (const [what, death] of deaths) {
    chaos(`is scrubbed after a kill ${what}`, { agent: LEAVES_MANY }, async (rig) => {
      await madeCell(rig);
      await rig.lazarus.end();
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus destroy --force");
      await dying.died();
      expect(rig.cell().state).toBe("closing");
      await rig.serve();
      await rig.comesTo({ state: "destroyed" });
    });
  }

  chaos("has its agent ended when killed before that", { agent: COMMIT_AND_STAY }, async (rig) => {
    const dying = await rig.serveUntil({ at: "backend.stop", when: "before" });
    await rig.say(SUMMON);
    await until("the agent has committed", () => rig.exists("committed"));
    await rig.cellIs("active");
    await rig.say("/lazarus destroy --force");
    await dying.died();
    expect(livingOf(rig.cell().id)).not.toEqual([]);
    await rig.serve();
    await rig.comesTo({ state: "destroyed", pullRequests: 0, commits: 0 });
  });
});

describe("a stop that was accepted", () => {
  for (const when of ["before", "after"] as const) {
    chaos(
      `is carried out after a kill ${when} the agent was ended`,
      { agent: COMMIT_AND_STAY },
      async (rig) => {
        const dying = await rig.serveUntil({ at: "backend.stop", when });
        await rig.say(SUMMON);
        await until("the agent has committed", () => rig.exists("committed"));
        await rig.cellIs("active");
        const id = await rig.say("/lazarus stop");
        await dying.died();
        await rig.serve();
        await rig.comesTo({ state: "idle", outcome: "done" });
        expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
        expect(rig.card()).toContain("stopped by dev");
      },
    );
  }
});

describe("objects that a cell borrows", () => {
  chaos("outlive a rewritten base and a collection by hand", { agent: COMMIT_ON_GO }, async (rig) => {
    await rig.serve();
    await rig.say(SUMMON);
    await rig.cellIs("active");
    const { dir } = rig.standIn.world.mustRepository("acme/app");
    const author = { name: "Dev", email: "dev@example.org" };
    const other = await writeCommit(dir, {
      parent: null,
      files: { "new.txt": "all new\n" },
      message: "Anew",
      author,
    });
    expect((await tryGit(dir, ["update-ref", "refs/heads/main", other])).code).toBe(0);
    const id = rig.standIn.world.mustRepository("acme/app").id;
    const mirror = join(rig.lazarus.dataDir, "mirrors", `${id}.git`);
    const fetched = await tryGit(mirror, ["fetch", "--prune", dir, "+refs/heads/*:refs/heads/*"]);
    expect(fetched.code).toBe(0);
    expect((await tryGit(mirror, ["-c", "gc.pruneExpire=now", "gc", "--quiet", "--prune=now"])).code).toBe(0);
    rig.go();
    await rig.comesTo({ state: "idle", outcome: "done" });
  });
});
