import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leftoversOf } from "../../../src/backends/process.ts";
import type { JobPayload } from "../../../src/protocol/jobs.ts";
import type { CellSpec, SetupEnd } from "../../../src/protocol/shapes.ts";
import { BRIEF, createRunnerRig, LIMITS, type RunnerRig } from "../../fakes/runner-rig.ts";
import { until } from "../../fakes/until.ts";

let rig: RunnerRig;
let base: string;
beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "src.txt": "one\n", ".gitignore": "node_modules/\n" });
  rig.agent('cat node_modules/done "$LAZARUS_SETUP_HOME/.cache"; env > env.txt');
});
afterEach(() => rig.remove());

const SETUP = { network: "none", limitMs: 60_000, set: {} } as const;
const setUp = (run: string, more = {}) => rig.setUpWith({ ...SETUP, run, ...more });
const begun = () => rig.said("setup-started");
const ends = () => rig.said("setup-ended");

async function setupEnd(count = 1): Promise<SetupEnd> {
  await until("the setup has ended", () => ends().length >= count || rig.said("run-refused").length > 0);
  const last = ends().at(-1);
  if (last === undefined) throw new Error(`refused: ${rig.said("run-refused")[0]?.why}`);
  return last.end;
}

const read = (cell: CellSpec, ...names: string[]) => readFileSync(rig.cellPath(cell, ...names), "utf8");
const afterSetup = (cell: CellSpec, run = 1) =>
  rig.perform("start", { cell, run, agent: "allegro", role: "executor", prompt: BRIEF, isSetUp: true });

describe("setting a cell up", () => {
  it("runs before the run, in a process of its own, and the run follows when control asks again", async () => {
    setUp("mkdir node_modules\necho fetched > node_modules/done\necho kept > ~/.cache\necho set up $FROM", {
      set: { FROM: "here" },
    });
    const cell = rig.spec(base);
    await rig.start(cell);
    expect(begun()).toMatchObject([{ cellId: cell.id, run: 1, setup: { source: null, limitMs: 60_000 } }]);
    expect(rig.said("run-started")).toEqual([]);
    expect(await setupEnd()).toMatchObject({ code: 0, stopped: null, tail: "", changed: [], untracked: [] });
    expect(read(cell, "logs", "setup-1.log")).toBe("set up here\n");
    expect(read(cell, "logs", "daemon.log")).toMatch(/setup started[\s\S]*setup ended/);

    await afterSetup(cell);
    await until("the run has ended", () => rig.said("run-ended").length > 0);
    expect(read(cell, "logs", "allegro-1.log")).toBe("fetched\nkept\n");
    expect(begun()).toHaveLength(1);
    expect(await rig.collect(cell)).toMatchObject({ files: 1 });
  });

  it("has none of the agent's keys, a home of its own, and no way to the agent's", async () => {
    rig.agent("true", { env: { ANTHROPIC_API_KEY: "key-of-the-model" }, set: { A: "1" } });
    setUp("env | sort; id -u; ulimit -f", { set: { B: "2", PATH: "/usr/bin:/bin" } });
    const cell = rig.spec(base);
    await rig.start(cell);
    await setupEnd();
    const said = read(cell, "logs", "setup-1.log").split("\n");
    const names = said.flatMap((line) => /^([A-Za-z_]\w*)=/.exec(line)?.[1] ?? []);
    expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name))).toEqual(
      ["B", "CI", "HOME", "LANG", "LAZARUS_CELL", "PATH", "TERM"].sort(),
    );
    expect(said).toContain("CI=1");
    expect(said).toContain(`HOME=${rig.cellPath(cell, "home", ".setup")}`);
    expect(said).toContain(String(cell.user?.uid ?? process.getuid?.()));
  });

  it("does not run the same again in the same tree, but another one", async () => {
    setUp("true");
    const cell = rig.spec(base);
    await rig.start(cell);
    await setupEnd();
    const setUpWith = begun()[0]?.setup.digest ?? "";
    const payload = { cell, agent: "allegro", role: "executor", prompt: BRIEF } as const;
    await rig.perform("start", { ...payload, run: 2, setUpWith });
    expect(rig.said("run-started")).toMatchObject([{ run: 2 }]);
    setUp("true # another");
    await until("it has ended", () => rig.said("run-ended").length > 0);
    await rig.perform("start", { ...payload, run: 3, setUpWith });
    await setupEnd(2);
    expect(begun().map((one) => one.run)).toEqual([1, 3]);
  });

  it.each([
    ["echo begin\nfalse\necho never", { code: 1 }, "begin"],
    ["no-such-program --version", { code: 127 }, "no-such-program"],
    ["kill -9 $$", { signal: "KILL" }, ""],
    [`for i in $(seq 1 99); do echo "line $i ${"x".repeat(20)}"; done; exit 3`, { code: 3 }, "line 70"],
  ])("tells how it failed, with the end of what it said: %s", async (run, how, said) => {
    setUp(run);
    const cell = rig.spec(base);
    await rig.start(cell);
    const end = await setupEnd();
    expect(end).toMatchObject({ stopped: null, ...how });
    expect(end.tail).toContain(said);
    expect(end.tail).not.toContain("never");
    expect(end.tail.split("\n").length).toBeLessThanOrEqual(60);
  });

  it("hides secrets in what it tells", async () => {
    setUp("echo the token is sekrit-token-1234567890; exit 1");
    await rig.start(rig.spec(base));
    const { tail } = await setupEnd();
    expect(tail).toContain("the token is");
    expect(tail).not.toContain("sekrit");
  });

  it("is ended at its limit with all that it started", async () => {
    setUp("trap '' TERM; (trap '' TERM; sleep 600) & echo begun; sleep 600", { limitMs: 1_000 });
    const cell = rig.spec(base);
    await rig.start(cell);
    const end = await setupEnd();
    expect(end).toMatchObject({ stopped: "over its limit of 1s", leftovers: [] });
    expect(end.tail).toContain("begun");
    expect(await leftoversOf(cell.id, null)).toEqual([]);
  });

  it("ends what it left running, and cuts a log that is too long", async () => {
    rig.agent("true", { limits: { ...LIMITS, logBytes: 100_000 } });
    setUp("sleep 600 & head -c 3000000 /dev/zero | tr '\\0' x; echo the end");
    const cell = rig.spec(base);
    await rig.start(cell);
    expect(await setupEnd()).toMatchObject({ code: 0, leftovers: [] });
    expect(await leftoversOf(cell.id, null)).toEqual([]);
    expect(read(cell, "logs", "setup-1.log").length).toBeLessThan(300_000);
  });

  it("is ended where it fills more than a cell may", async () => {
    rig.restart();
    const { config } = rig.deps;
    rig.restart({ config: { ...config, limits: { ...config.limits, diskBytes: 5_000_000 } } });
    setUp("head -c 9000000 /dev/zero > big; sync big; sleep 600");
    // Looked at from the first moment on, and at each scan.
    rig.restart({
      config: {
        ...config,
        limits: { ...config.limits, diskBytes: 5_000_000 },
        pit: { ...config.pit, scanMs: 100 },
      },
    });
    await rig.start(rig.spec(base));
    expect((await setupEnd()).stopped).toMatch(/^over its disk of 4\.8 MB: 8\.\d MB/);
  });

  it("names tracked files that it changed, and keeps what git does not know out of the work", async () => {
    setUp("echo two >> src.txt; mkdir 'a venv' node_modules; touch 'a venv/x' 'node_modules/y' 'od[d]*.txt'");
    rig.agent("touch mine.txt; touch 'a venv/by-the-agent'");
    const cell = rig.spec(base);
    await rig.start(cell);
    expect(await setupEnd()).toMatchObject({
      changed: ["src.txt"],
      untracked: ["a venv/", "od[d]*.txt"],
    });
    await afterSetup(cell);
    await until("the run has ended", () => rig.said("run-ended").length > 0);
    await rig.collect(cell);
    const names = rig.inWorktree(cell, `git show --name-only --format= HEAD`).trim().split("\n");
    expect(names.sort()).toEqual(["mine.txt", "src.txt"]);
  });
});

describe("a setup and the program that watches it", () => {
  const payload = (cell: CellSpec) =>
    ({ cell, run: 1, agent: "allegro", role: "executor", prompt: BRIEF }) as const;

  const adopt = (cell: CellSpec, { setup }: JobPayload<"setup-started">) => {
    const { handle, ...rest } = setup;
    rig.runner.adopt({
      runs: [],
      setups: [{ cell, run: 1, agent: "allegro", setup: rest, handle }],
      checks: [],
    });
  };

  it("is adopted by the next one while it is at work, and when it ended unseen", async () => {
    setUp("while [ ! -e go ]; do sleep 0.05; done; rm go; echo went");
    const [first, second] = [rig.spec(base), rig.spec(base)];
    await rig.start(first);
    await rig.start(second);
    rig.restart();
    rig.inWorktree(second, "touch go");
    const [one, two] = begun();
    if (one === undefined || two === undefined) throw new Error("nothing began");
    await until("the second has ended", () =>
      existsSync(rig.cellPath(second, "state", "setup", "exit.json")),
    );
    adopt(second, two);
    expect(await setupEnd()).toMatchObject({ code: 0 });
    adopt(first, one);
    rig.inWorktree(first, "touch go");
    await setupEnd(2);
    expect(ends().map((end) => end.cellId)).toEqual([second.id, first.id]);
  });

  it("is found, not begun twice, where its start was told to nobody", async () => {
    setUp("echo begun; while [ ! -e go ]; do sleep 0.05; done; rm go");
    const cell = rig.spec(base);
    await rig.perform("start", payload(cell));
    rig.restart();
    rig.reports.length = 0;
    await rig.perform("start", payload(cell));
    rig.inWorktree(cell, "touch go");
    expect(await setupEnd()).toMatchObject({ code: 0 });
    expect(read(cell, "logs", "setup-1.log")).toBe("begun\n");
  });

  it("is ended by a stop, known or not, and that is no run that began", async () => {
    for (const isKnown of [true, false]) {
      rig.reports.length = 0;
      setUp("sleep 600 & sleep 600");
      const cell = rig.spec(base);
      await rig.start(cell);
      if (!isKnown) rig.restart();
      const { id: cellId, user } = cell;
      await rig.perform("stop", { cellId, run: 1, user, handle: null, why: "stopped by dev" });
      expect(rig.said("run-ended")).toMatchObject([
        { began: false, stopped: "stopped by dev", leftovers: [] },
      ]);
      expect(await leftoversOf(cellId, null)).toEqual([]);
      expect(ends()).toEqual([]);
    }
  });

  it("goes with its cell when that is destroyed", async () => {
    setUp("sleep 600");
    const cell = rig.spec(base);
    await rig.start(cell);
    await rig.perform("scrub", {
      cellId: cell.id,
      repository: cell.repository,
      user: cell.user,
      handle: null,
    });
    expect(existsSync(rig.cellPath(cell))).toBe(false);
    expect(await leftoversOf(cell.id, null)).toEqual([]);
    expect(rig.said("scrubbed")).toHaveLength(1);
  });

  it("is not looked for where a run is stopped that has begun", async () => {
    setUp("true");
    rig.agent("sleep 600");
    const cell = rig.spec(base);
    await rig.start(cell);
    await setupEnd();
    await afterSetup(cell);
    rig.restart();
    const { id: cellId, user } = cell;
    await rig.perform("stop", { cellId, run: 1, user, handle: null, why: "stopped by dev" });
    expect(rig.said("run-ended")).toMatchObject([{ began: true, stopped: "stopped by dev" }]);
  });
});

describe("the repository's own file", () => {
  const grant = (more = {}) => rig.setUpWith({ ...SETUP, run: null, ...more }, "branch");

  it("is read at the pinned commit, whatever the branch says since", async () => {
    grant();
    const pinned = await rig.commit("main", { ".lazarus.yml": "setup: echo from the pinned commit\n" });
    await rig.commit("main", { ".lazarus.yml": "setup: echo from later\n" });
    const cell = rig.spec(pinned);
    await rig.start(cell);
    await setupEnd();
    expect(begun()[0]?.setup).toMatchObject({
      command: "echo from the pinned commit",
      source: `.lazarus.yml at ${pinned.slice(0, 7)}`,
    });
    expect(read(cell, "logs", "setup-1.log")).toBe("from the pinned commit\n");
  });

  it("is the base branch's where a pull request's head has another one", async () => {
    grant();
    const trusted = await rig.commit("main", { ".lazarus.yml": "setup: echo from the base\n" });
    const head = await rig.commit("topic", { ".lazarus.yml": "setup: echo from a stranger\n", a: "b" });
    const cell = rig.spec(head, {
      baseRef: "refs/heads/topic",
      rules: { ref: "refs/heads/main", commit: trusted },
    });
    await rig.start(cell);
    await setupEnd();
    expect(read(cell, "logs", "setup-1.log")).toBe("from the base\n");
  });

  it("gives way to lazarus.yaml where it says nothing, or is not there", async () => {
    grant({ run: "echo from lazarus.yaml" });
    const cell = rig.spec(base);
    await rig.start(cell);
    await setupEnd();
    expect(read(cell, "logs", "setup-1.log")).toBe("from lazarus.yaml\n");
    grant();
    await rig.runToEnd(rig.spec(await rig.commit("main", { ".lazarus.yml": "test: npm test\n" })));
    expect(begun()).toHaveLength(1);
  });

  it.each([
    ["setup: [a", /^reading \.lazarus\.yml at [0-9a-f]{7}: Flow sequence/],
    [
      "setup: {run: x, network: full}",
      /setup\.network: full is more than lazarus\.yaml grants; it is mended on/,
    ],
    [`setup: {run: "${"x".repeat(17_000)}"}`, /it is larger than 16 KB/],
  ])("is told and not run where it cannot be used: %.40s", async (text, why) => {
    grant();
    await rig.start(rig.spec(await rig.commit("main", { ".lazarus.yml": text })));
    expect(begun()).toEqual([]);
    expect(rig.said("run-refused")).toMatchObject([{ why: expect.stringMatching(why) }]);
  });
});
