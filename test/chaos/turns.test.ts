import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { git } from "../fakes/forge/git.ts";
import { needs } from "../machine.ts";
import type { Death } from "./deadly-fs.ts";
import { ANSWERS, drafted } from "./reviewing.ts";
import { type ChaosRig, chaos, isAlive, type RigOptions, until } from "./rig.ts";

const AT = { repo: "acme/app" };

/** The forge's statuses of the published tip: the newest of each context, and how many there are in all. */
async function statuses(rig: ChaosRig): Promise<{ newest: Record<string, string>; count: number }> {
  const path = `/api/v1/repos/acme/app/commits/${rig.cell().published_tip}/statuses?limit=50`;
  const { token } = rig.standIn.admin;
  const answer = await fetch(`${rig.standIn.url}${path}`, { headers: { Authorization: `token ${token}` } });
  const all = (await answer.json()) as { id: number; context: string; status: string }[];
  const sorted = all.sort((a, b) => a.id - b.id);
  return {
    newest: Object.fromEntries(sorted.map((one) => [one.context, one.status])),
    count: all.length,
  };
}

describe("a message", () => {
  const deaths: readonly [string, Death, string][] = [
    [
      "before it stood in the prompt",
      { at: "sql", when: "before", match: "UPDATE messages SET state = 'given'" },
      "never given",
    ],
    [
      "once it stood in the prompt",
      { at: "sql", when: "after", match: "UPDATE messages SET state = 'given'" },
      "given",
    ],
  ];
  for (const [what, death, state] of deaths)
    chaos(`that is deleted after a kill ${what} is ${state}`, { agent: ANSWERS }, async (rig) => {
      await drafted(rig);
      const dying = await rig.serveUntil(death);
      const id = await rig.say("/lazarus tell use numbers");
      await dying.died();
      await rig.standIn.people.deleteComment("dev", id);
      await rig.serve();
      const isGiven = state === "given";
      const runs = isGiven ? 2 : 1;
      const ran = () => readFileSync(join(rig.dir, "ran"), "utf8");
      const isDone = () => rig.query("SELECT 1 FROM runs WHERE collected_at > 0").length === runs;
      await until("nothing is left to do", () => isDone() && rig.openJobs().length === 0);
      // Telling an idle cell and giving it to its agent are one transaction.
      expect(rig.query("SELECT state FROM messages")).toEqual(isGiven ? [{ state: "given" }] : []);
      expect(ran()).toBe("ran\n".repeat(runs));
      if (isGiven) {
        await rig.comesTo({ state: "idle", outcome: "done", runs, commits: runs });
        expect(readFileSync(join(rig.dir, "asked-2"), "utf8").match(/use numbers/g)).toHaveLength(1);
      }
      expect(existsSync(join(rig.dir, "twice"))).toBe(false);
    });

  for (const when of ["before", "after"] as const)
    chaos(
      `is given once where Lazarus was killed ${when} it said so by a reaction`,
      { agent: ANSWERS },
      async (rig) => {
        await drafted(rig);
        const dying = await rig.serveUntil({ at: "forge.react", when, match: "rocket" });
        const id = await rig.say("/lazarus tell use numbers");
        await dying.died();
        await rig.serve();
        await until(
          "it ran again",
          () => rig.query("SELECT 1 FROM runs WHERE collected_at > 0").length === 2,
        );
        await rig.comesTo({ state: "idle", outcome: "done", runs: 2, commits: 2 });
        expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
        expect(readFileSync(join(rig.dir, "asked-2"), "utf8").match(/use numbers/g)).toHaveLength(1);
      },
    );
});

describe("an approval", () => {
  /** What is approved is closed at that commit, and nothing is pushed after it. */
  async function isClosedAt(rig: ChaosRig, tip: unknown): Promise<void> {
    await rig.cellIs("archived");
    await until("nothing is left to do", () => rig.openJobs().length === 0);
    expect(rig.query("SELECT 1 FROM history WHERE \"to\" = 'closing'")).toHaveLength(1);
    expect(rig.query("SELECT 1 FROM history WHERE \"to\" = 'archived'")).toHaveLength(1);
    const { dir } = rig.standIn.world.mustRepository(AT.repo);
    expect(await git(dir, ["rev-parse", `refs/heads/${rig.cell().branch}`])).toBe(tip);
    expect(rig.standIn.people.pullRequests(AT.repo).map((one) => one.title)).toEqual(["Say hello (#1)"]);
    expect(rig.botComments().filter((body) => body.includes("is closed by"))).toHaveLength(1);
  }
  const approve = (rig: ChaosRig) =>
    rig.standIn.people.review(
      "dev",
      { ...AT, number: Number(rig.cell().pull_request) },
      { state: "APPROVED", body: "good" },
    );

  for (const [what, death] of [
    ["before the cell closed", { at: "sql", when: "before", match: '"to":"closing"' }],
    ["right after it began to close", { at: "sql", when: "after", match: '"to":"closing"' }],
    ["before the draft was none any more", { at: "forge.editPullRequest", when: "before" }],
  ] as const)
    chaos(`closes the cell once where Lazarus was killed ${what}`, {}, async (rig) => {
      await drafted(rig);
      const tip = rig.cell().published_tip;
      const dying = await rig.serveUntil(death);
      await approve(rig);
      await dying.died();
      await rig.serve();
      await isClosedAt(rig, tip);
    });

  chaos(
    "holds for its commit although a push was on its way as Lazarus was killed",
    { agent: ANSWERS },
    async (rig) => {
      await drafted(rig);
      const tip = rig.cell().published_tip;
      // Whoever pushes dies before anything reaches the forge; then the forge refuses pushes for a while.
      rig.ambush("git", "push", "instead");
      await rig.serve();
      await rig.say("/lazarus tell more");
      await rig.ambushed();
      await approve(rig);
      const pushing = rig.standIn.faults.add({
        match: { path: /git-receive-pack/ },
        times: Number.POSITIVE_INFINITY,
        answer: { status: 503 },
      });
      await rig.serve();
      await until("it closes", () => rig.query("SELECT 1 FROM history WHERE \"to\" = 'closing'").length > 0);
      pushing();
      await isClosedAt(rig, tip);
    },
  );
});

describe("a merge", () => {
  for (const [what, death] of [
    ["before the draft was none any more", { at: "forge.editPullRequest", when: "before", match: '"title"' }],
    ["when the draft was none any more", { at: "forge.editPullRequest", when: "after", match: '"title"' }],
    ["before it was merged", { at: "forge.merge", when: "before" }],
    ["right after it was merged", { at: "forge.merge", when: "after" }],
  ] as const)
    chaos(`is made once where Lazarus was killed ${what}`, {}, async (rig) => {
      await drafted(rig);
      const dying = await rig.serveUntil(death);
      const id = await rig.say("/lazarus close --merge");
      await dying.died();
      await rig.serve();
      await rig.cellIs("archived");
      await until("nothing is left to do", () => rig.openJobs().length === 0);
      expect(rig.cell().outcome).toBe("merged");
      const [pull, ...others] = rig.standIn.people.pullRequests(AT.repo);
      expect(others).toEqual([]);
      expect(pull?.title).toBe("Say hello (#1)");
      expect(pull?.pull.merged).not.toBeNull();
      const { dir } = rig.standIn.world.mustRepository(AT.repo);
      expect(await git(dir, ["rev-list", "--count", "--merges", "main"])).toBe("1");
      expect(rig.query("SELECT 1 FROM history WHERE \"to\" = 'archived'")).toHaveLength(1);
      expect(rig.botComments().filter((body) => body.includes("is closed by"))).toHaveLength(1);
      expect(rig.reactions(id).sort()).toEqual(["eyes", "rocket"]);
    });
});

describe("a check", () => {
  const WAITS = {
    more: {
      checks: { "acme/*": { test: 'while [ ! -e "$go" ]; do sleep 0.02; done; grep -q hello hello.txt' } },
    },
  };
  const rows = (rig: ChaosRig) =>
    rig.query<{ name: string; side: string; state: string; handle: string | null }>(
      "SELECT name, side, state, handle FROM checks ORDER BY n",
    );
  const atWork = (rig: ChaosRig, n = 1) =>
    until("the check runs", () => rows(rig)[n - 1]?.state === "running" && rig.openJobs().length === 0);

  /** The command of a check knows no `$go`: it is told where it is. */
  async function configured(rig: ChaosRig): Promise<void> {
    await rig.changeConfig((text) =>
      text
        .replaceAll('"$go"', `'${join(rig.dir, "go")}'`)
        .replaceAll('\\"$go\\"', `'${join(rig.dir, "go")}'`),
    );
  }

  async function isPassed(rig: ChaosRig, states: readonly string[]): Promise<void> {
    await until("it is checked", () => rows(rig).at(-1)?.state === states.at(-1));
    await rig.comesTo({ state: "idle", outcome: "done" });
    expect(rows(rig).map((one) => one.state)).toEqual(states);
  }

  chaos("that was at work is adopted by the next server", WAITS, async (rig) => {
    await configured(rig);
    await rig.serve();
    await rig.say("/lazarus summon allegro");
    await atWork(rig);
    await rig.kill();
    await rig.serve();
    rig.go();
    await isPassed(rig, ["passed"]);
    expect((await statuses(rig)).newest).toEqual({ "lazarus/test": "success" });
  });

  chaos("that was begun and not written down is not begun twice", WAITS, async (rig) => {
    await configured(rig);
    const dying = await rig.serveUntil({
      at: "backend.start",
      when: "after",
      match: '"stateDir":"[^"]*/checks"',
    });
    await rig.say("/lazarus summon allegro");
    await dying.died();
    await rig.serve();
    await atWork(rig);
    rig.go();
    await isPassed(rig, ["passed"]);
  });

  chaos("that died with its server is begun once more, and then said to be lost", WAITS, async (rig) => {
    await configured(rig);
    await rig.serve();
    await rig.say("/lazarus summon allegro");
    for (const n of [1, 2]) {
      await atWork(rig, n);
      await rig.kill();
      const { pid } = JSON.parse(rows(rig)[n - 1]?.handle ?? "{}") as { pid: number };
      process.kill(-pid, "SIGKILL");
      await until("the check is dead", () => !isAlive(pid));
      await rig.serve();
    }
    await isPassed(rig, ["lost", "lost"]);
    expect((await statuses(rig)).newest).toEqual({ "lazarus/test": "error" });
    expect(rig.card()).toContain("could not be run");
  });

  for (const when of ["before", "after"] as const)
    for (const status of ["pending", "success"])
      chaos(
        `has its status in the end where Lazarus was killed ${when} it sent ${status}`,
        WAITS,
        async (rig) => {
          await configured(rig);
          rig.go();
          const dying = await rig.serveUntil({ at: "forge.setStatus", when, match: status });
          await rig.say("/lazarus summon allegro");
          await dying.died();
          await rig.serve();
          await isPassed(rig, ["passed"]);
          await until(
            "the status is there",
            async () => (await statuses(rig)).newest["lazarus/test"] === "success",
          );
          expect((await statuses(rig)).count).toBeLessThanOrEqual(3);
        },
      );
});

describe("a team", () => {
  const GOES: RigOptions = {
    agent: `exec 9>>"$out/lock"; flock -n 9 || echo twice >>"$out/twice"; echo a >>a.txt; git add a.txt; git commit --quiet -m a; echo key >>"$HOME/key" || touch "$out/homeless"; echo "all done" >"$LAZARUS_HANDOFF"`,
    guest: `exec 9>>"$out/lock"; flock -n 9 || echo twice >>"$out/twice"; cat "$LAZARUS_BRIEF" >"$out/asked-2"; cat "$HOME"/../allegro/key >"$out/stolen" 2>/dev/null; echo b >b.txt; git add b.txt; git commit --quiet -m b; echo key >"$HOME/key"`,
  };
  const SECOND = 'INTO runs.*"n":2';

  for (const [what, death] of [
    ["when the first one had ended", { at: "sql", when: "after", match: 'INTO jobs.*"kind":"collect"' }],
    ["as the second turn was written down", { at: "sql", when: "before", match: SECOND }],
    ["right after that", { at: "sql", when: "after", match: SECOND }],
    ["when the home of the first was closed", { at: "backend.start", when: "before", match: '"run":2' }],
  ] as const)
    chaos(`goes on in turn where Lazarus was killed ${what}`, GOES, async (rig) => {
      const dying = await rig.serveUntil(death);
      await rig.say("/lazarus team allegro+kimi");
      await dying.died();
      await rig.serve();
      await until(
        "the second has ended",
        () => rig.query("SELECT 1 FROM runs WHERE n = 2 AND collected_at > 0").length === 1,
      );
      await rig.comesTo({ state: "idle", outcome: "done", runs: 2, commits: 2 });
      expect(existsSync(join(rig.dir, "twice"))).toBe(false);
      expect(readFileSync(join(rig.dir, "asked-2"), "utf8").match(/all done/g)).toHaveLength(1);
      if (process.getuid?.() === 0) expect(readFileSync(join(rig.dir, "stolen"), "utf8")).toBe("");
      // What was closed to the second is open to the first again.
      await rig.say("/lazarus revive allegro");
      const isOver = "SELECT 1 FROM runs WHERE n = 3 AND collected_at > 0";
      await until("the first has run again", () => rig.query(isOver).length === 1);
      await rig.comesTo({ state: "idle", outcome: "done", runs: 3, commits: 3 });
      expect(rig.exists("homeless")).toBe(false);
    });

  chaos(
    "that was killed with closed homes can be sealed and destroyed",
    { ...GOES, wants: needs("root") },
    async (rig) => {
      const dying = await rig.serveUntil({ at: "backend.start", when: "before", match: '"run":2' });
      await rig.say("/lazarus team allegro+kimi");
      await dying.died();
      await rig.say("/lazarus close --discard");
      await rig.serve();
      await rig.cellIs("archived");
      await rig.say("/lazarus destroy");
      await rig.cellIs("destroyed");
      await until("nothing is left to do", () => rig.openJobs().length === 0);
      expect(readdirSync(rig.lazarus.missionsDir)).toEqual([]);
    },
  );
});

describe("an invitation", () => {
  chaos("that ran out while nobody served gives no right any more", { agent: ANSWERS }, async (rig) => {
    rig.standIn.people.createUser("reader");
    await drafted(rig);
    await rig.serve();
    const invited = await rig.say("/lazarus invite @reader executor --for 1h");
    await until("the reader is invited", () => rig.reactions(invited).includes("rocket"));
    await rig.kill();
    const told = await rig.standIn.people.comment(
      "reader",
      { ...AT, number: rig.issue },
      "/lazarus tell do it",
    );
    rig.query("UPDATE guests SET until = 1");
    await rig.serve();
    await until("it is refused", () => rig.reactions(told).includes("confused"));
    await rig.comesTo({ state: "idle", outcome: "done", replies: 1 });
    expect(rig.query("SELECT 1 FROM messages")).toEqual([]);
  });

  chaos(
    "that ran out after a kill in the middle of what was asked gives none either",
    { agent: ANSWERS },
    async (rig) => {
      rig.standIn.people.createUser("reader");
      await drafted(rig);
      await rig.serve();
      const invited = await rig.say("/lazarus invite @reader executor --for 1h");
      await until("the reader is invited", () => rig.reactions(invited).includes("rocket"));
      await rig.lazarus.end();
      const dying = await rig.serveUntil({
        at: "sql",
        when: "before",
        match: "UPDATE messages SET state = 'given'",
      });
      const told = await rig.standIn.people.comment(
        "reader",
        { ...AT, number: rig.issue },
        "/lazarus tell do it",
      );
      await dying.died();
      rig.query("UPDATE guests SET until = 1");
      await rig.serve();
      await until("it is refused", () => rig.reactions(told).includes("confused"));
      await until("nothing is left to do", () => rig.openJobs().length === 0);
      expect(rig.query("SELECT state FROM messages")).toEqual([]);
      expect(readFileSync(join(rig.dir, "ran"), "utf8")).toBe("ran\n");
    },
  );
});
