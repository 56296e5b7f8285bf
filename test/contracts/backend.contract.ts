import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend, CellUser, Handle, Observation, RunSpec } from "../../src/backends/backend.ts";
import { bootId, readStat } from "../../src/backends/os/proc.ts";
import { type CellRig, createCellRig } from "../fakes/cell-rig.ts";
import { until } from "../fakes/until.ts";

export interface BackendMaking {
  readonly backend: Backend;
  /** Where another program finds the same: absolute path of the module, and its export. */
  readonly module: string;
  readonly factory: string;
  /** Whose processes they are; null: ours. */
  readonly user?: CellUser | null;
  /** Whether what an agent leaves running dies with it. */
  readonly leavesNothing?: boolean;
  /**
   * Whether its output goes through pipes, and none of our own files can reach it: it is another program's
   * child.
   */
  readonly isFar?: boolean;
}

const STARTER = fileURLToPath(new URL("../fakes/starter.ts", import.meta.url));
const GRACE_MS = 300;
/** For what ends when it is told to, however busy the machine is. */
const AMPLE_GRACE_MS = 60_000;

/** Every cell has a user of its own, or none has. */
function neighbourOf(user: CellUser | null = null): CellUser | null {
  return user && { ...user, uid: user.uid + 1, gid: user.gid + 1 };
}

/** What `Backend` promises in prose, tried on one implementation with real processes. */
export function backendContract(name: string, make: () => BackendMaking): void {
  describe(`${name} keeps the backend's contract`, () => {
    let rig: CellRig;
    let backend: Backend;
    let handles: Handle[];

    beforeEach(() => {
      const making = make();
      rig = createCellRig("cell", making.user);
      backend = making.backend;
      handles = [];
    });
    afterEach(async () => {
      for (const handle of handles) await backend.stop(handle, 0);
      rig.remove();
    });

    const start = async (spec: RunSpec) => {
      const handle = await backend.start(spec);
      handles.push(handle);
      return handle;
    };
    const ended = async (handle: Handle): Promise<Observation> => {
      await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
      return backend.observe(handle);
    };
    const finish = async (spec: RunSpec) => ended(await start(spec));
    const made = (...parts: string[]) =>
      until(`there is ${parts.join("/")}`, () => existsSync(rig.path(...parts)));
    /** A script that says in the worktree that it is there, then waits. */
    const waiting = (before = "") => rig.script(`${before}\n: >ready; while :; do sleep 0.1; done`);

    describe("a run", () => {
      it("records exit code, run and time, last", async () => {
        const before = Date.now();
        const end = await finish(rig.script("exit 3"));
        expect(end).toMatchObject({ kind: "exited", code: 3, signal: null });
        expect(end.kind === "exited" && end.endedAt).toBeGreaterThanOrEqual(before - 1);
        expect(JSON.parse(rig.text("state/exit.json"))).toMatchObject({ run: 1, code: 3, signal: null });
      });

      it("records the signal that ended the agent", async () => {
        expect(await finish(rig.script("kill -SEGV $$"))).toMatchObject({ kind: "exited", signal: "SEGV" });
      });

      it("does not take every code above 128 for a signal", async () => {
        expect(await finish(rig.script("exit 145"))).toMatchObject({ code: 145, signal: null });
      });

      it("writes down who it is", async () => {
        const handle = await start(waiting());
        await made("worktree/ready");
        expect(JSON.parse(rig.text("state/run.json"))).toMatchObject({
          cell: rig.cellId,
          run: 1,
          agent: "allegro",
          pid: handle.pid,
          start_ticks: handle.startTicks,
          boot_id: handle.bootId,
          group: handle.pid,
          session: handle.pid,
          started_at: new Date(handle.startedAt).toISOString(),
        });
        expect(await backend.observe(handle)).toEqual({ kind: "alive" });
      });

      it("has exactly the environment it was given", async () => {
        await finish(rig.run(["env"]));
        const seen = rig.text("logs/allegro-1.log").trimEnd().split("\n").sort();
        expect(seen).toEqual(
          Object.entries(rig.around.env)
            .map(([key, value]) => `${key}=${value}`)
            .sort(),
        );
      });

      it("passes a shell's own variables on when they were given", async () => {
        await finish(rig.run(["env"], { env: { ...rig.around.env, OLDPWD: "/given" } }));
        expect(rig.text("logs/allegro-1.log")).toContain("OLDPWD=/given\n");
      });

      it("works in the worktree, with nothing open but its three files, and a umask that shares nothing", async () => {
        await finish(
          rig.script(
            "pwd; umask; cd /proc/self/fd; for fd in *; do [ -e $fd ] && readlink $fd; done; echo x >&2",
          ),
        );
        const log = rig.path("logs/allegro-1.log");
        const lines = rig.text("logs/allegro-1.log").trimEnd().split("\n");
        // What the tests' own starter left open to them is plugged.
        const [cwd, umask, ...rest] = lines.filter((line, at) => at < 4 || line !== "/dev/null");
        const files = make().isFar ? rest.map((line) => line.replace(/^pipe:.*/, log)) : rest;
        expect([cwd, umask, files]).toEqual([rig.path("worktree"), "0077", ["/dev/null", log, log, "x"]]);
        expect(statSync(rig.path("logs/allegro-1.log")).mode & 0o777).toBe(0o600);
        expect(statSync(rig.path("state/exit.json")).mode & 0o777).toBe(0o600);
      });

      it("gets a brief of 1 MB whole on its standard input", async () => {
        const brief = "a brief line of text\n".repeat(50_000);
        writeFileSync(rig.path("config/prompts/1.md"), brief);
        await finish(rig.script("cat >got", { stdinPath: rig.path("config/prompts/1.md") }));
        expect(rig.text("worktree/got")).toBe(brief);
      });

      it("reads nothing where there is no brief to read", async () => {
        await finish(rig.script("cat >got; echo end >>got"));
        expect(rig.text("worktree/got")).toBe("end\n");
      });

      it("passes words with spaces, quotes, dollars and newlines on as they are", async () => {
        const words = ["a b", 'say "hi"', "it's", "two\nlines", "$HOME `id` \\n *", "", "-n", "ü"];
        await finish(rig.run(["sh", "-c", 'for w; do printf "%s\\0" "$w"; done >got', "sh", ...words]));
        expect(rig.text("worktree/got").split("\0").slice(0, -1)).toEqual(words);
      });

      it("lives with odd names in every path", async () => {
        rig.remove();
        rig = createCellRig('it\'s "a" $cell\nwith \\ lines', make().user);
        const spec = rig.script("echo out", { agent: 'all"egro\n\\', logPath: rig.path("logs/a b.log") });
        expect(await finish(spec)).toMatchObject({ code: 0 });
        expect(rig.text("logs/a b.log")).toBe("out\n");
        expect(JSON.parse(rig.text("state/run.json"))).toMatchObject({ agent: 'all"egro\n\\' });
      });

      it("writes 50 MB to its log without ever waiting for a reader, after what was there", async () => {
        writeFileSync(rig.path("logs/allegro-1.log"), "before\n");
        await finish(rig.script("head -c 50000000 /dev/zero"));
        expect(statSync(rig.path("logs/allegro-1.log")).size).toBe(50_000_007);
      });

      it("is held to its file size", async () => {
        const limits = { ...rig.around.limits, fileBytes: 1_000_000 };
        await finish(rig.script("head -c 3000000 /dev/zero >big; exit 0", { limits }));
        expect(statSync(rig.path("worktree/big")).size).toBeLessThanOrEqual(1_000_448);
      });

      it("is held to its memory", async () => {
        const limits = { ...rig.around.limits, memoryBytes: 64 * 1024 * 1024 };
        const greedy = rig.script("dd if=/dev/zero of=/dev/null bs=200M count=1 || exit 9", { limits });
        expect(await finish(greedy)).toMatchObject({ code: 9 });
      });

      it("keeps each run's end apart", async () => {
        const first = await start(rig.script("exit 1"));
        await ended(first);
        const second = await start({ ...waiting(), run: 2 });
        await made("worktree/ready");
        expect(await backend.observe(second)).toEqual({ kind: "alive" });
        await backend.stop(second, AMPLE_GRACE_MS);
        expect(await backend.observe(second)).toMatchObject({ kind: "exited", signal: "TERM" });
      });
    });

    describe("what cannot be started", () => {
      const refused = async (command: readonly string[]) => {
        const error = await backend.start(rig.run(command)).catch((cause: unknown) => cause);
        expect(error).toMatchObject({ code: "agent-missing", retryable: false });
        expect(existsSync(rig.path("state/run-1.lock"))).toBe(false);
        return (error as Error).message;
      };

      it("is named when it is not there", async () => {
        expect(await refused(["nowhere-to-be-found"])).toContain("no nowhere-to-be-found on its PATH");
        expect(await refused(["/no/such/agent"])).toBe("cannot start allegro: /no/such/agent does not exist");
      });

      it("is named when it is not executable", async () => {
        const file = rig.executable("plain", "#!/bin/sh\n", 0o644);
        expect(await refused([file])).toBe(`cannot start allegro: ${file} is not executable`);
        expect(await refused(["plain"])).toBe(`cannot start allegro: ${file} is not executable`);
      });

      it("is named when it is a directory", async () => {
        expect(await refused([rig.bin])).toBe(`cannot start allegro: ${rig.bin} is a directory`);
      });

      it("is never found in a worktree by accident", async () => {
        writeFileSync(rig.path("worktree/agent"), "#!/bin/sh\n", { mode: 0o755 });
        const env = { ...rig.around.env, PATH: ":.:/usr/bin" };
        await expect(backend.start(rig.run(["agent"], { env }))).rejects.toMatchObject({
          code: "agent-missing",
        });
      });

      it("is our fault when there is no worktree", async () => {
        rmSync(rig.path("worktree"), { recursive: true });
        await expect(backend.start(rig.script("true"))).rejects.toMatchObject({ code: "backend" });
      });

      it("is our fault when the state cannot be written, and may work later", async () => {
        rmSync(rig.path("state"), { recursive: true });
        await expect(backend.start(rig.script(": >ran"))).rejects.toMatchObject({
          code: "backend",
          retryable: true,
        });
        expect(existsSync(rig.path("worktree/ran"))).toBe(false);
      });

      it("is a log that leads elsewhere", async () => {
        mkdirSync(rig.path("logs/allegro-1.log"));
        await expect(backend.start(rig.script("true"))).rejects.toMatchObject({ code: "backend" });
      });
    });

    describe("a starter that dies", () => {
      it("leaves the agent running, to be observed and stopped by another, and passes none of its files on", async () => {
        const { module, factory } = make();
        const out = rig.path("state/handle.json");
        const spec = JSON.stringify(waiting("readlink /proc/$$/fd/60 >stray"));
        const words = ["--import", "tsx", STARTER, module, factory, spec, out];
        // Node itself keeps back the first sixteen.
        const stdio = Array.from({ length: 61 }, (_, fd) => (fd === 60 ? "pipe" : "ignore"));
        const starter = spawn(process.execPath, words, { stdio });
        await made("state/handle.json");
        await made("worktree/ready");
        const gone = new Promise((resolve) => starter.once("exit", resolve));
        starter.kill("SIGKILL");
        await gone;

        const handle = JSON.parse(readFileSync(out, "utf8")) as Handle;
        handles.push(handle);
        expect(rig.text("worktree/stray")).toBe(make().isFar ? "" : "/dev/null\n");
        expect(await backend.observe(handle)).toEqual({ kind: "alive" });
        expect(await start(waiting())).toMatchObject({ pid: handle.pid, startTicks: handle.startTicks });
        expect(await backend.stop(handle, 5_000)).toEqual([]);
        expect(await backend.observe(handle)).toMatchObject({ kind: "exited", signal: "TERM" });
      });
    });

    describe("a second start of the same run", () => {
      const counting = (rest: string) => rig.script(`echo x >>count; : >ready; ${rest}`);

      it("finds the first one alive", async () => {
        const first = await start(counting("while :; do sleep 0.1; done"));
        await made("worktree/ready");
        expect(await start(counting("exit 1"))).toEqual(first);
        expect(rig.text("worktree/count")).toBe("x\n");
      });

      it("finds the first one alive before it wrote down who it is", async () => {
        const first = await start(counting("while :; do sleep 0.1; done"));
        await made("state/run.json");
        rmSync(rig.path("state/run.json"));
        expect(await start(counting("exit 1"))).toMatchObject({
          pid: first.pid,
          startTicks: first.startTicks,
        });
      });

      it("starts one when many begin at once", async () => {
        const spec = counting("while :; do sleep 0.1; done");
        const all = await Promise.all([start(spec), start(spec), start(spec), start(spec)]);
        await made("worktree/ready");
        expect(new Set(all.map((handle) => handle.pid)).size).toBe(1);
        expect(rig.text("worktree/count")).toBe("x\n");
      });

      it("finds its end", async () => {
        await finish(counting("exit 5"));
        expect(await finish(counting("exit 6"))).toMatchObject({ kind: "exited", code: 5 });
        expect(rig.text("worktree/count")).toBe("x\n");
      });

      it("finds it gone when it was killed with its parent, also between lock and identity", async () => {
        const first = await start(counting("while :; do sleep 0.1; done"));
        await made("worktree/ready");
        process.kill(-first.pid, "SIGKILL");
        await until("it is gone", async () => (await backend.observe(first)).kind === "gone");
        expect(await backend.observe(await start(counting("exit 0")))).toEqual({ kind: "gone" });
        rmSync(rig.path("state/run.json"));
        expect(await backend.observe(await start(counting("exit 0")))).toEqual({ kind: "gone" });
        expect(rig.text("worktree/count")).toBe("x\n");
      });

      it("does not believe a file that names another living process", async () => {
        const bystander = spawn("sleep", ["60"], { detached: true });
        const pid = bystander.pid ?? 0;
        const identity = { pid, start_ticks: readStat(pid)?.startTicks, boot_id: bootId() };
        const file = {
          cell: rig.cellId,
          run: 1,
          agent: "allegro",
          started_at: new Date().toISOString(),
          ...identity,
        };
        writeFileSync(rig.path("state/run-1.lock"), `${pid}\n`);
        writeFileSync(rig.path("state/run.json"), JSON.stringify(file));
        const handle = await start(counting("exit 0"));
        expect(await backend.observe(handle)).toEqual({ kind: "gone" });
        expect(await backend.stop(handle, 0)).toEqual([]);
        expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
        expect(bystander.kill("SIGKILL")).toBe(true);
      });
    });

    describe("stop", () => {
      it("asks first, and leaves the agent the time to end well", async () => {
        const handle = await start(
          rig.script("trap 'echo bye >bye; exit 7' TERM; : >ready; while :; do sleep 0.05; done"),
        );
        await made("worktree/ready");
        expect(await backend.stop(handle, 10_000)).toEqual([]);
        expect(rig.text("worktree/bye")).toBe("bye\n");
        expect(await backend.observe(handle)).toMatchObject({ kind: "exited", code: 7 });
      });

      it("kills what ignores TERM, after the grace and not before", async () => {
        const handle = await start(waiting("trap '' TERM HUP INT"));
        await made("worktree/ready");
        const from = performance.now();
        expect(await backend.stop(handle, GRACE_MS)).toEqual([]);
        expect(performance.now() - from).toBeGreaterThanOrEqual(GRACE_MS);
        expect(await backend.observe(handle)).toMatchObject({ kind: "exited", signal: "KILL" });
        expect(JSON.parse(rig.text("state/exit.json"))).toMatchObject({ run: 1, code: null, by: "lazarus" });
      });

      it("writes the end of a run that was killed with its parent", async () => {
        const handle = await start(waiting());
        await made("worktree/ready");
        process.kill(-handle.pid, "SIGKILL");
        await until("it is gone", async () => (await backend.observe(handle)).kind === "gone");
        expect(await backend.stop(handle, GRACE_MS)).toEqual([]);
        expect(await backend.observe(handle)).toMatchObject({ kind: "exited", code: null, signal: "KILL" });
      });

      it("finds and kills what left the session", async () => {
        const away =
          "setsid sh -c '(setsid sh -c \"trap : TERM; : >away; while :; do sleep 0.1; done\" &) &'";
        const handle = await start(waiting(away));
        await made("worktree/ready");
        await made("worktree/away");
        expect((await backend.leftovers(rig.cellId, handle)).length).toBeGreaterThan(2);
        expect(await backend.stop(handle, GRACE_MS)).toEqual([]);
        expect(await backend.leftovers(rig.cellId, null)).toEqual([]);
      });

      it("kills what the agent left behind when it ended by itself", async () => {
        const handle = await start(
          rig.script(
            "(trap '' TERM; : >ready; while :; do sleep 0.1; done) & until [ -e ready ]; do :; done; exit 0",
          ),
        );
        await made("worktree/ready");
        expect(await ended(handle)).toMatchObject({ code: 0 });
        if (make().leavesNothing !== true)
          expect(await backend.leftovers(rig.cellId, handle)).not.toEqual([]);
        expect(await backend.stop(handle, 50)).toEqual([]);
        expect(await backend.leftovers(rig.cellId, handle)).toEqual([]);
        expect(await backend.observe(handle)).toMatchObject({ code: 0 });
      });

      it("outlasts an agent that forks for ever", async () => {
        const hop = rig.executable("hop", `#!/bin/sh\ntrap '' TERM\n: >ready\nsleep 0.01\nsetsid "$0" &\n`);
        const handle = await start(rig.script(`for i in 1 2 3 4 5; do ${hop} & done; sleep 60`));
        await made("worktree/ready");
        expect(await backend.stop(handle, 50)).toEqual([]);
        expect(await backend.leftovers(rig.cellId, handle)).toEqual([]);
      });

      it("never signals a process that only has the number", async () => {
        const handle = await start(waiting());
        await made("worktree/ready");
        const cellId = crypto.randomUUID();
        const [reused, otherBoot] = [
          { ...handle, cellId, uid: null, startTicks: handle.startTicks - 1, stateDir: rig.path("logs") },
          {
            ...handle,
            cellId,
            uid: null,
            bootId: "00000000-0000-0000-0000-000000000000",
            stateDir: rig.path("logs"),
          },
        ];
        for (const wrong of [reused, otherBoot]) {
          expect(await backend.observe(wrong)).toEqual({ kind: "gone" });
          expect(await backend.leftovers(cellId, wrong)).toEqual([]);
          expect(await backend.stop(wrong, 0)).toEqual([]);
          rmSync(rig.path("logs/exit.json"));
        }
        expect(await backend.observe(handle)).toEqual({ kind: "alive" });
      });

      it("leaves the neighbour cell alone", async () => {
        const neighbour = createCellRig("cell", neighbourOf(make().user));
        try {
          const theirs = await start(neighbour.script("sleep 60"));
          const ours = await start(waiting());
          await backend.stop(ours, 0);
          expect(await backend.observe(theirs)).toEqual({ kind: "alive" });
          expect(await backend.leftovers(rig.cellId, null)).toEqual([]);
          await backend.stop(theirs, 0);
        } finally {
          neighbour.remove();
        }
      });

      it("is no error twice, nor when the cell is no longer there", async () => {
        const handle = await start(waiting());
        await backend.stop(handle, 0);
        expect(await backend.stop(handle, 0)).toEqual([]);
        rmSync(rig.path(), { recursive: true });
        expect(await backend.stop(handle, 0)).toEqual([]);
      });
    });

    describe("runToEnd", () => {
      it("answers code, errors cut to size, and leaves the output in the file", async () => {
        const command = ["sh", "-c", "echo out; printf 12345 >&2; exit 4"];
        const end = await backend.runToEnd(rig.child(command, { stderrBytes: 3 }));
        expect(end).toEqual({ code: 4, signal: null, timedOut: false, stderr: "123" });
        expect(rig.text("state/out")).toBe("out\n");
        expect(statSync(rig.path("state/out")).mode & 0o777).toBe(0o600);
      });

      it("gives the environment of an agent and nothing else", async () => {
        await backend.runToEnd(rig.child(["env"]));
        const seen = rig.text("state/out").trimEnd().split("\n").sort();
        expect(seen).toEqual(
          Object.entries(rig.around.env)
            .map(([key, value]) => `${key}=${value}`)
            .sort(),
        );
      });

      it("never writes over what is there, not even through a link", async () => {
        writeFileSync(rig.path("state/out"), "mine");
        await expect(backend.runToEnd(rig.child(["true"]))).rejects.toMatchObject({ code: "backend" });
        expect(rig.text("state/out")).toBe("mine");
      });

      it("ends what hangs, with all of its session", async () => {
        const command = ["sh", "-c", "trap '' TERM; sleep 60 & sleep 60"];
        const end = await backend.runToEnd(rig.child(command, { timeoutMs: 200 }));
        expect(end).toMatchObject({ code: null, signal: "KILL", timedOut: true });
        expect(await backend.leftovers(rig.cellId, null)).toEqual([]);
      });

      it("lets nothing outlive it, nor waits for who holds its standard error", async () => {
        const end = await backend.runToEnd(rig.child(["sh", "-c", "sleep 60 & echo x >&2"]));
        expect(end).toEqual({ code: 0, signal: null, timedOut: false, stderr: "x\n" });
        expect(await backend.leftovers(rig.cellId, null)).toEqual([]);
      });

      it("ends what writes more than it may", async () => {
        const limits = { ...rig.around.limits, fileBytes: 512_000 };
        const end = await backend.runToEnd(rig.child(["head", "-c", "9000000", "/dev/zero"], { limits }));
        expect(end.code === 0).toBe(false);
        expect(statSync(rig.path("state/out")).size).toBeLessThanOrEqual(512_000);
      });

      it("leaves the cell's own run alone", async () => {
        const handle = await start(waiting());
        await backend.runToEnd(rig.child(["true"]));
        expect(await backend.observe(handle)).toEqual({ kind: "alive" });
      });
    });
  });
}
