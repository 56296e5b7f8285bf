import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leftoversOf } from "../../src/backends/process.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { createRunnerRig, LIMITS, type RunnerRig } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";

let rig: RunnerRig;
let base: string;
let cell: CellSpec;
beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "src.txt": "one\n" });
  rig.agent("echo left by the agent > left.txt; touch src.txt");
  cell = rig.spec(base);
  await rig.runToEnd(cell);
});
afterEach(() => rig.remove());

const PLAIN = { network: "none", limitMs: 60_000, set: {} } as const;
const rules = () => ({
  ...{ repository: cell.repository, user: cell.user, rules: null },
  ...{ baseRef: cell.baseRef, baseCommit: base },
});
const plan = async (tip = base) => {
  await rig.perform("plan-checks", { cellId: cell.id, ...rules(), tip });
  return rig.said("checks-planned").at(-1);
};
let n = 0;
/** Begins a check by its name and waits for its end. */
async function check(name: string, more: Partial<JobPayload<"check">> = {}) {
  const digest =
    rig
      .said("checks-planned")
      .at(-1)
      ?.checks.find((one) => one.name === name)?.digest ?? "";
  const number = more.check ?? ++n;
  await rig.perform("check", {
    ...{ cellId: cell.id, check: number, ...rules(), agent: "allegro", name, digest },
    ...{ commit: base, ref: "refs/heads/main", mostMs: 60_000 },
    ...more,
  });
  const mine = (one: { readonly check: number }) => one.check === number;
  await until("the check is over", () =>
    [...rig.said("check-ended"), ...rig.said("check-refused")].some(mine),
  );
  const refused = rig.said("check-refused").find(mine);
  const end = rig.said("check-ended").find(mine)?.end;
  return { number, refused: refused?.why ?? null, end };
}
const log = (name: string, number: number) =>
  readFileSync(rig.cellPath(cell, "logs", `check-${name}-${number}.log`), "utf8");

describe("checks of what was pushed", () => {
  it("are planned with what lazarus.yaml and the base branch say, and name what cannot be run", async () => {
    const commit = await rig.commit("main", {
      ".lazarus.yml": "test: make test\nodd: {limit: 9d, run: x}\n",
    });
    rig.setUpWith({ ...PLAIN, run: "echo made > made.txt" }, "branch", {
      lint: { ...PLAIN, run: "npm run lint" },
      test: { ...PLAIN, run: "npm test" },
    });
    cell = { ...cell, baseCommit: commit };
    base = commit;
    const planned = await plan();
    expect(planned?.checks.map(({ name, command, source }) => [name, command, source])).toEqual([
      ["setup", "echo made > made.txt", null],
      ["lint", "npm run lint", null],
      ["test", "make test", `.lazarus.yml at ${commit.slice(0, 7)}`],
    ]);
    expect(planned?.faults).toEqual([
      { name: "odd", why: "odd.limit: 9d is more than lazarus.yaml grants, 10m" },
    ]);
  });

  it("say what is wrong where the file cannot be used at all", async () => {
    base = await rig.commit("main", { ".lazarus.yml": "test: [\n" });
    rig.setUpWith({ ...PLAIN, run: null }, "branch");
    expect(await plan()).toMatchObject({
      checks: [],
      trouble: expect.stringContaining("reading .lazarus.yml at"),
    });
  });

  it("run in a clean clone, without the agent's keys, home and tree, with the limits of its agent", async () => {
    rig.agent("true", {
      env: { ANTHROPIC_API_KEY: "key-of-the-model" },
      limits: { ...LIMITS, fileBytes: 8192 },
    });
    rig.setUpWith(null, "here", {
      test: { ...PLAIN, run: "pwd; ls; env | sort; ulimit -f; git rev-parse HEAD", set: { B: "2" } },
    });
    await plan();
    const { number, end } = await check("test");
    expect(end).toMatchObject({ code: 0, stopped: null, tail: "" });
    const said = log("test", number).split("\n");
    expect(said[0]).toBe(rig.cellPath(cell, "checks", base.slice(0, 8)));
    expect(said).toContain("src.txt");
    expect(said).not.toContain("left.txt");
    expect(said).toContain(base);
    const names = said.flatMap((line) => /^([A-Za-z_]\w*)=/.exec(line)?.[1] ?? []);
    expect(names.filter((name) => !["PWD", "OLDPWD", "SHLVL", "_"].includes(name))).toEqual(
      ["B", "CI", "HOME", "LANG", "LAZARUS_CELL", "PATH", "TERM"].sort(),
    );
    expect(said).toContain("16");
  });

  it.each([
    ["echo no >&2; exit 3", { code: 3, isOverTime: false }, "no"],
    ["no-such-program", { code: 127 }, "no-such-program"],
    ["kill -9 $$", { signal: "KILL", isOverTime: false }, ""],
  ])("tell how they ended, with the end of their output: %s", async (run, how, said) => {
    rig.setUpWith(null, "here", { test: { ...PLAIN, run } });
    await plan();
    const { end } = await check("test");
    expect(end).toMatchObject(how);
    expect(end?.tail).toContain(said);
  });

  it("are ended at their limit, or at what is left of all of them, with all that they started", async () => {
    rig.setUpWith(null, "here", { test: { ...PLAIN, run: "sleep 600 & sleep 600" } });
    await plan();
    const { end } = await check("test", { mostMs: 1_000 });
    expect(end).toMatchObject({ isOverTime: true, stopped: "over its limit of 1s", leftovers: [] });
    expect(await leftoversOf(cell.id, null)).toEqual([]);
  });

  it("leave no clone in the making where they are ended, and none of what a link leads to", async () => {
    const end = () =>
      rig.perform("end-check", { cellId: cell.id, check: ++n, user: cell.user, handle: null, why: "told" });
    // As a kill in the middle of the clone leaves it.
    mkdirSync(rig.cellPath(cell, "checks", ".new-0fedcba9", ".git"), { recursive: true });
    mkdirSync(rig.cellPath(cell, "checks", "0fedcba8"));
    await end();
    expect(readdirSync(rig.cellPath(cell, "checks"))).toEqual(["0fedcba8"]);

    const elsewhere = join(rig.missions, "elsewhere");
    mkdirSync(join(elsewhere, ".new-0fedcba9"), { recursive: true });
    rmSync(rig.cellPath(cell, "checks"), { recursive: true });
    symlinkSync(elsewhere, rig.cellPath(cell, "checks"));
    await end();
    expect(readdirSync(elsewhere)).toEqual([".new-0fedcba9"]);
  });

  it("begin once, however often they are asked for, and are not begun as another command", async () => {
    rig.setUpWith(null, "here", { test: { ...PLAIN, run: "echo once" } });
    await plan();
    const { number } = await check("test");
    await check("test", { check: number });
    expect(log("test", number)).toBe("once\n");
    expect((await check("test", { digest: "another" })).refused).toBe(
      "its command changed in lazarus.yaml since it was planned",
    );
  });

  it("end when nobody waits for them any more", async () => {
    rig.setUpWith(null, "here", { test: { ...PLAIN, run: "echo begun; sleep 600" } });
    await plan();
    const number = ++n;
    const digest = rig.said("checks-planned").at(-1)?.checks[0]?.digest ?? "";
    await rig.perform("check", {
      ...{ cellId: cell.id, check: number, ...rules(), agent: "allegro", name: "test", digest },
      ...{ commit: base, ref: "refs/heads/main", mostMs: 60_000 },
    });
    expect(rig.said("check-started")).toMatchObject([{ check: number }]);
    await rig.perform("end-check", {
      cellId: cell.id,
      check: number,
      user: cell.user,
      handle: null,
      why: "told",
    });
    expect(rig.said("check-ended").at(-1)).toMatchObject({ end: { stopped: "told", leftovers: [] } });
    expect(await leftoversOf(cell.id, null)).toEqual([]);
  });

  it("keep one clone for all of them, and none of what was checked before", async () => {
    rig.setUpWith({ ...PLAIN, run: "echo made > made.txt" }, "here", {
      test: { ...PLAIN, run: "cat made.txt" },
    });
    await plan();
    await check("setup");
    const { number } = await check("test");
    expect(log("test", number)).toBe("made\n");
    await plan();
    expect(existsSync(rig.cellPath(cell, "checks"))).toBe(false);
  });

  it("follow no link that lies in the way of what is cleared away", async () => {
    rig.setUpWith(null, "here", { test: { ...PLAIN, run: "true" } });
    symlinkSync(rig.missions, rig.cellPath(cell, "checks"));
    await plan();
    expect(existsSync(rig.cellPath(cell, "worktree"))).toBe(true);
    expect((await check("test")).end).toMatchObject({ code: 0 });
  });
});
