import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Identity } from "../../src/backends/os/proc.ts";
import { runningMs } from "../../src/backends/os/running-time.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { jobOf } from "../fakes/control-rig.ts";
import { BRIEF, createRunnerRig, LIMITS, type RunnerRig, readJsonFile } from "../fakes/runner-rig.ts";
import { until } from "../fakes/until.ts";

let rig: RunnerRig;
let base: string;
beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "a\n" });
  rig.restart({ config: { ...rig.deps.config, pit: { ...rig.deps.config.pit, scanMs: 200 } } });
});
afterEach(() => rig.remove());

/** Waits for a file `go` in its worktree. */
const WAITS = "touch ready; while [ ! -e go ]; do sleep 0.05; done";
const HOUR = 3_600_000;
const last = () => rig.said("health").at(-1);
const seen = (what: string, fits: (said: JobPayload<"health">) => boolean) =>
  until(what, () => {
    const said = last();
    return said !== undefined && fits(said);
  });
const told = () => rig.said("health").map(({ health }) => health);
const go = (cell: CellSpec) => writeFileSync(rig.cellPath(cell, "worktree", "go"), "");

it("tells how a run is while it lives, and nothing after it", async () => {
  const limits = { ...LIMITS, quietMs: 2_000, stalledMs: 4_000 };
  rig.agent(`echo hello; ${WAITS}; echo again; rm go; ${WAITS}`, { limits });
  const cell = rig.spec(base);
  await rig.start(cell);
  for (const health of ["healthy", "quiet", "stalled"] as const)
    await until(`it was told that it is ${health}`, () => told().includes(health));
  expect(last()).toMatchObject({ cellId: cell.id, run: 1, reason: "no output, no change, process alive" });
  go(cell);
  await until("it is well again", () => told().lastIndexOf("healthy") > told().indexOf("stalled"));
  await until("it wrote again", () => !existsSync(rig.cellPath(cell, "worktree", "go")));
  go(cell);
  await until("it ended", () => rig.said("run-ended").length === 1);
  const count = rig.said("health").length;
  await until("its end is in its directory", () => {
    const { state, by } = readJsonFile(rig.cellPath(cell, "state/heartbeat.json"));
    return state === "ended" && by === "runner";
  });
  expect(rig.said("health")).toHaveLength(count);
});

it("hears an agent while its run lives, and writes down what it says", async () => {
  rig.heartbeats.listensAt("http://127.0.0.1:8420");
  rig.agent(`env >"$LAZARUS_ARTIFACTS/env.txt"; ${WAITS}`);
  const cell = rig.spec(base);
  const words = { state: "testing", message: null, progress: null };
  expect(await rig.runner.hear(cell.id, words)).toBe(false);
  await rig.start(cell);
  expect(await rig.runner.hear(cell.id, words)).toBe(true);
  await seen("it was heard", (said) => said.beat?.state === "testing");
  const heartbeat = () => readJsonFile(rig.cellPath(cell, "state/heartbeat.json"));
  await until(
    "the runner's own keeps it",
    () => heartbeat().by === "runner" && heartbeat().agent !== undefined,
  );
  expect(heartbeat().agent).toMatchObject({ state: "testing", by: "agent" });
  await until("it is ready", () => existsSync(rig.cellPath(cell, "worktree/ready")));
  const env = readFileSync(rig.cellPath(cell, "artifacts/env.txt"), "utf8");
  expect(env).toContain(`LAZARUS_HEARTBEAT_URL=http://127.0.0.1:8420/cells/${cell.id}/heartbeat`);
  const token = /LAZARUS_HEARTBEAT_TOKEN=(.*)/.exec(env)?.[1] ?? "";
  expect(rig.heartbeats.isToken(cell.id, token)).toBe(true);
  await rig.perform("stop", { cellId: cell.id, run: 1, user: cell.user, handle: null, why: "enough" });
  expect(await rig.runner.hear(cell.id, words)).toBe(false);
  expect(heartbeat()).toMatchObject({ state: "ended", by: "runner" });
  expect(JSON.stringify(rig.reports)).not.toContain(token);
});

it("hears an agent that is quicker than the news of its start", async () => {
  rig.agent(WAITS);
  const cell = rig.spec(base);
  const words = { state: "early", message: null, progress: null };
  const payload = { cell, run: 1, agent: "allegro", role: "executor", prompt: BRIEF } as const;
  const { job } = jobOf("start", payload);
  const outcome = await rig.runner.do(job, new AbortController().signal);
  expect(await rig.runner.hear(cell.id, words)).toBe(true);
  rig.hear(outcome, payload);
  await seen("what it said counts", (said) => said.beat?.state === "early");
  go(cell);
  await until("it ended", () => rig.said("run-ended").length === 1);
  expect(await rig.runner.hear(cell.id, words)).toBe(false);
});

it("hears nobody of a run that could not be started", async () => {
  rig.agent(WAITS, { command: ["/nowhere/at/all"] });
  const cell = rig.spec(base);
  await rig.start(cell);
  expect(rig.said("run-refused")).toHaveLength(1);
  expect(await rig.runner.hear(cell.id, { state: "x", message: null, progress: null })).toBe(false);
});

it.each([
  ["forth", -3 * HOUR],
  ["back", 3 * HOUR],
])(
  "ends an adopted run neither sooner nor later for a clock that was set %s while nobody looked",
  async (_, off) => {
    rig.agent(WAITS, { limits: { ...LIMITS, runMs: 4_000 } });
    const cell = rig.spec(base);
    await rig.start(cell);
    const [started] = rig.said("run-started");
    const handle = { ...started?.handle };
    rig.restart({ config: { ...rig.deps.config, pit: { ...rig.deps.config.pit, scanMs: 200 } } });
    const startedAt = (started?.startedAt ?? 0) + off;
    rig.runner.adopt({
      runs: [{ cellId: cell.id, run: 1, agent: "allegro", handle, startedAt, before: null }],
      setups: [],
      checks: [],
    });
    await seen("it was looked at", (said) => said.health === "healthy");
    expect(rig.said("over-limit")).toEqual([]);
    await until("its time is over", () => rig.said("over-limit").length === 1);
    // Hours later it would not have been over yet.
    expect(runningMs(handle as unknown as Identity)).toBeGreaterThanOrEqual(4_000);
    go(cell);
    await until("it ended", () => rig.said("run-ended").length === 1);
  },
);

it("asks the gateway of an agent, and says where it does not answer", async () => {
  const limits = { ...LIMITS, quietMs: 300, stalledMs: 60_000 };
  rig.agent(WAITS, { limits, healthUrl: "http://127.0.0.1:9/health" });
  const cell = rig.spec(base);
  await rig.start(cell);
  await seen("its gateway is down", (said) =>
    said.reason.includes("its gateway does not answer: ECONNREFUSED"),
  );
  go(cell);
  await until("it ended", () => rig.said("run-ended").length === 1);
});
