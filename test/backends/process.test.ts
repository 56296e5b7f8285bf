import { spawn, spawnSync } from "node:child_process";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { argumentsOf, bootId, isAlive, readStat } from "../../src/backends/os/proc.ts";
import { processesOf } from "../../src/backends/os/scan.ts";
import { execText } from "../../src/backends/os/shell-text.ts";
import { shimScript } from "../../src/backends/os/shim.ts";
import { backendError } from "../../src/backends/os/spawn.ts";
import { processBackend } from "../../src/backends/process.ts";
import { backendContract } from "../contracts/backend.contract.ts";
import { type CellRig, createCellRig } from "../fakes/cell-rig.ts";
import { until } from "../fakes/until.ts";

const MODULE = fileURLToPath(new URL("../../src/backends/process.ts", import.meta.url));

backendContract("process", () => ({ backend: processBackend(), module: MODULE, factory: "processBackend" }));

describe("the process backend", () => {
  let rig: CellRig;
  beforeEach(() => {
    rig = createCellRig();
  });
  afterEach(() => rig.remove());

  it("says what it does not give", async () => {
    const check = await processBackend().check();
    expect(check).toMatchObject({
      ok: true,
      note: expect.stringContaining(
        process.getuid?.() === 0
          ? "it reads what everybody on this machine may read, and nothing of Lazarus"
          : "can read what Lazarus can, its token too",
      ),
    });
  });

  it("refuses an environment by which its processes could not be found", async () => {
    const spec = rig.script("true", { env: { PATH: "/usr/bin:/bin" } });
    await expect(processBackend().start(spec)).rejects.toMatchObject({ code: "internal" });
  });

  it("never writes a log or reads a brief through a link", async () => {
    writeFileSync(rig.path("precious"), "");
    symlinkSync(rig.path("precious"), rig.path("logs/link.log"));
    const backend = processBackend();
    const log = rig.script("echo x", { logPath: rig.path("logs/link.log") });
    await expect(backend.start(log)).rejects.toMatchObject({ code: "backend" });
    const brief = rig.script("cat", { stdinPath: rig.path("logs/link.log") });
    await expect(backend.start(brief)).rejects.toMatchObject({ code: "backend" });
    expect(rig.text("precious")).toBe("");
  });

  it("is told of words that the kernel does not take", async () => {
    const spec = rig.run(["sh", "-c", ":", "x".repeat(200_000)]);
    await expect(processBackend().start(spec)).rejects.toMatchObject({ code: "backend", retryable: false });
    await expect(processBackend().start(rig.run(["sh", "nul\0"]))).rejects.toMatchObject({ code: "backend" });
  });

  it.each([
    ["ENOSPC", "disk-full", true],
    ["EAGAIN", "backend", true],
    ["E2BIG", "backend", false],
  ])("takes %s for %s", (code, kind, retryable) => {
    const cause = Object.assign(new Error("no"), { code });
    expect(backendError("starting allegro", cause)).toMatchObject({ code: kind, retryable, cause });
  });
});

describe("the shim", () => {
  it("of an earlier version, whose script stands in its arguments, is found alive", async () => {
    const rig = createCellRig();
    const script = 'echo "$$" >"$1/run-$2.lock"; while :; do sleep 0.1; done';
    const words = ["-c", script, "lazarus-shim", rig.path("state"), "1", '"cell": "c"'];
    const earlier = spawn("/bin/sh", words, { detached: true, stdio: "ignore", env: rig.around.env });
    const backend = processBackend();
    await until(
      "it has the lock",
      () => existsSync(rig.path("state/run-1.lock")) && rig.text("state/run-1.lock") !== "",
    );
    const handle = await backend.start(rig.run(["false"]));
    expect(handle.pid).toBe(earlier.pid);
    expect(await backend.stop(handle, 0)).toEqual([]);
    rig.remove();
  });

  it("is not taken for that of another run, or of another cell", async () => {
    const rig = createCellRig();
    const backend = processBackend();
    const first = await backend.start(rig.script("sleep 30"));
    const second = await backend.start(rig.script("sleep 30", { run: 2 }));
    expect(second.pid).not.toBe(first.pid);
    writeFileSync(rig.path("state/run-3.lock"), `${first.pid}\n`);
    expect(await backend.start(rig.script("true", { run: 3 }))).toMatchObject({ pid: 0 });
    for (const handle of [first, second]) await backend.stop(handle, 0);
    rig.remove();
  });

  const shells = [["dash"], ["bash", "--norc", "--posix"], ["busybox", "sh"]].filter(
    ([shell = ""]) => spawnSync(shell, ["-c", "true"]).error === undefined,
  );

  it.each([
    [145, null],
    [173, null],
    [247, null],
    [137, "KILL"],
  ])("takes an exit of %i for the signal %s", (code, signal) => {
    const rig = createCellRig();
    onTestFinished(() => rig.remove());
    const facts = {
      ...{ stateDir: rig.path("state"), run: 1, limits: "c:0", enter: "", unset: "lzs_dir PWD" },
      ...{ first: '  "run": 1,', last: '  "started_at": ""' },
    };
    const file = rig.path("state", "script");
    writeFileSync(file, shimScript(facts, execText(["/bin/sh", "-c", `exit ${code}`]).text));
    spawnSync("sh", [file], { cwd: rig.path("worktree") });
    expect(JSON.parse(rig.text("state/exit.json"))).toMatchObject({ code, signal });
  });

  it.each(shells)("is understood by %s", (shell = "", ...options) => {
    const rig = createCellRig();
    onTestFinished(() => rig.remove());
    const facts = {
      ...{ stateDir: rig.path("state"), run: 1, limits: "c:0", enter: "", unset: "lzs_dir PWD" },
      first: `  "cell": "c",\n  "run": 1,\n  "agent": "it's"`,
      last: '  "started_at": "2026-01-01T00:00:00.000Z"',
    };
    const run = (script: string) => {
      const file = rig.path("state", "script");
      writeFileSync(file, shimScript(facts, execText(["/bin/sh", "-c", script]).text));
      return spawnSync(shell, [...options, file], {
        cwd: rig.path("worktree"),
        env: { ONLY: "this" },
        encoding: "utf8",
        input: "brief",
      });
    };
    const first = run("cat; kill -TERM $$");
    expect([first.status, first.stdout, first.stderr]).toEqual([0, "brief", ""]);
    expect(JSON.parse(rig.text("state/exit.json"))).toMatchObject({ run: 1, code: 143, signal: "TERM" });
    const { pid, start_ticks: ticks, boot_id: boot, session } = JSON.parse(rig.text("state/run.json"));
    expect([pid, boot]).toEqual([first.pid, bootId()]);
    expect(ticks).toBeGreaterThan(readStat(process.pid)?.startTicks ?? Number.POSITIVE_INFINITY);
    expect(session).toBe(readStat(process.pid)?.session);
    expect(run("echo twice").stdout).toBe("");
  });
});

describe("/proc", () => {
  it("names nobody for a pid that is not given out", () => {
    expect(readStat(2 ** 30)).toBeNull();
    expect(argumentsOf(2 ** 30)).toEqual([]);
  });

  it("reads a process whose name looks like the rest of the line", async () => {
    const script = 'printf ") S 1 1 1 (x" >/proc/self/comm; echo ok; read -r line';
    const child = spawn("/bin/bash", ["-c", script], { detached: true });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    const stat = readStat(child.pid ?? 0);
    expect(stat).toMatchObject({ parent: process.pid, group: child.pid, session: child.pid });
    child.kill("SIGKILL");
  });

  it("takes a zombie for dead", async () => {
    const child = spawn("sh", ["-c", "sh -c 'echo $$; exit 0' & exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const pid = Number(
      await new Promise((resolve) => child.stdout.once("data", (chunk) => resolve(String(chunk)))),
    );
    await until("it is a zombie", () => readStat(pid)?.state === "Z");
    const startTicks = readStat(pid)?.startTicks ?? 0;
    expect(isAlive({ pid, startTicks, bootId: bootId() })).toBe(false);
    child.kill("SIGKILL");
  });

  it("matches the whole marker, in what may be many", async () => {
    const env = { LAZARUS_CELL: "abc-longer", OTHER: "LAZARUS_CELL=abc" };
    const child = spawn("sleep", ["60"], { env: { ...env, PATH: "/usr/bin:/bin" } });
    const of = async (cellId: string) =>
      (await processesOf({ cellId, leader: null, byMarker: true })).map((one) => one.pid);
    await until("it is found by its own", async () => (await of("abc-longer")).includes(child.pid ?? 0));
    expect(await of("abc")).toEqual([]);
    child.kill("SIGKILL");
  });

  it("never names the program that asks, or what it descends from", async () => {
    const leader = readStat(process.pid);
    const session = leader?.session ?? 0;
    const first = readStat(session);
    const identity = { pid: session, startTicks: first?.startTicks ?? 0, bootId: bootId() };
    const found = await processesOf({ cellId: "none", leader: identity, byMarker: false });
    const pids = found.map((one) => one.pid);
    expect(pids).not.toContain(process.pid);
    expect(pids).not.toContain(process.ppid);
  });
});
