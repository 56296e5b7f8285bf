import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { CellUser, RunSpec } from "../../../src/backends/backend.ts";
import { argumentsOf } from "../../../src/backends/os/proc.ts";
import { processesOf } from "../../../src/backends/os/scan.ts";
import { findTool } from "../../../src/backends/os/tools.ts";
import { countsProcessesPerNamespace } from "../../../src/backends/os/user.ts";
import { type Gate, openGate } from "../../../src/backends/sandbox/gate.ts";
import { gateDirOf, sandboxBackend } from "../../../src/backends/sandbox/sandbox.ts";
import { silentLog } from "../../../src/log.ts";
import { COLLECT_SCRIPT, parseSaid } from "../../../src/runner/collect/collect-script.ts";
import { backendContract } from "../../contracts/backend.contract.ts";
import { type CellRig, createCellRig } from "../../fakes/cell-rig.ts";
import { IS_ROOT } from "../../fakes/uids.ts";
import { until } from "../../fakes/until.ts";
import { needs } from "../../machine.ts";

const MODULE = fileURLToPath(new URL("../../../src/backends/sandbox/sandbox.ts", import.meta.url));
const OWN: CellUser = { uid: 700_100, gid: 700_100, groups: [700_200] };

describe("with our own user,", needs("sandbox"), () => keepsItsPromises(null));
describe("with a user of its own,", needs("sandbox", "root"), () => keepsItsPromises(OWN));

function keepsItsPromises(user: CellUser | null): void {
  backendContract("the sandbox", () => ({
    ...{ backend: sandboxBackend(), module: MODULE, factory: "sandboxBackend" },
    ...{ user, leavesNothing: true },
  }));

  describe("a sandbox", () => {
    const backend = sandboxBackend();
    let rig: CellRig;
    beforeEach(() => {
      rig = createCellRig("cell", user);
    });
    afterEach(() => rig.remove());

    const finish = async (spec: RunSpec) => {
      const handle = await backend.start(spec);
      await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
      return { end: await backend.observe(handle), log: rig.text("logs/allegro-1.log") };
    };
    const sh = async (text: string, more?: Partial<RunSpec>) => (await finish(rig.script(text, more))).log;

    it("holds the system, the cell's own places and nothing else", async () => {
      mkdirSync(rig.path("home/other"));
      mkdirSync(join(rig.root, "neighbour"));
      const seen = (
        await sh(`ls -A / "${rig.root}" "${rig.path()}" "${rig.path("home")}" "${rig.path("config")}" /run`)
      ).split("\n\n");
      expect(seen[0]?.replace(/\n(bin|sbin|lib\w*)(?=\n)/g, "")).toBe(
        "/:\ndev\netc\nproc\nrun\ntmp\nusr\nvar",
      );
      // `ls` sorts the places by their names.
      const places = seen.slice(1).map((each) => each.trim());
      expect(places.toSorted()).toEqual(
        [
          "/run:\nlazarus",
          `${rig.root}:\nbin\ncell`,
          `${rig.path()}:\nartifacts\nconfig\nhome\nworktree`,
          `${rig.path("config")}:\nbrief.md\nprompts`,
          `${rig.path("home")}:\nallegro`,
        ].toSorted(),
      );
    });

    it("is a short line in a list of processes: no path that it sees, no prompt, and nothing of the way to its hosts", async () => {
      const gate = await openGate({
        ...{ cellId: rig.cellId, dir: gateDirOf(rig.around.dirs), log: silentLog },
        hosts: ["127.0.0.1:11434"],
      });
      onTestFinished(() => gate.close());
      const agent = rig.executable("agent", "#!/bin/sh\ncat >/dev/null; : >ready; exec sleep 30\n");
      const handle = await backend.start(rig.run([agent, "the prompt"], { network: ["127.0.0.1:11434"] }));
      await until("it has begun", () => existsSync(rig.path("worktree/ready")));
      const found = await processesOf({ cellId: rig.cellId, leader: handle, byMarker: true, uid: user?.uid });
      const lists = found.map((one) => argumentsOf(one.pid).join(" "));
      expect(await backend.stop(handle, 0)).toEqual([]);
      // Of a process that is just ending nothing can be read.
      const ours = lists
        .filter((list) => list !== "" && !/^(sleep 30|\/bin\/sh .*\/agent the prompt)$/.test(list))
        .sort();
      const bwrap = findTool("bwrap");
      expect(ours).toEqual([
        `/bin/sh /proc/self/fd/4 lazarus-shim ${rig.path("state")} 1`,
        "/run/lazarus/node - lazarus-relay",
        ...Array(2).fill(`${bwrap} --args 5 -- /bin/sh /run/lazarus/begin`),
      ]);
      // A shim that is killed while it writes leaves `.exit.json.PID`.
      const state = readdirSync(rig.path("state")).filter((name) => !/^\.exit\.json\.\d+$/.test(name));
      expect(state.sort()).toEqual(["exit.json", "run-1.lock", "run.json"]);
    });

    it("has nothing of /etc that could be a secret", async () => {
      const seen = await sh(
        "cat /etc/passwd; ls /etc/shadow /etc/ssl/private /etc/machine-id /etc/ssh; id -un; getent hosts localhost >/dev/null && echo known",
      );
      expect(seen).toContain(`:x:${user?.uid ?? process.getuid?.()}:`);
      expect(seen.match(/cannot access/g)).toHaveLength(4);
      expect(seen).toContain(user === null && IS_ROOT ? "\nroot\n" : "\nagent\n");
      expect(seen).toMatch(/known\n$/);
    });

    it("lets nothing be written but worktree, artifacts, home and its own /tmp", async () => {
      const places = [
        rig.path("config/brief.md"),
        rig.path("config/prompts/1.md"),
        join(rig.bin, "new"),
        "/usr/new",
        "/etc/new",
        "/new",
        "/dev/new",
        "/run/new",
      ];
      const script = `for p in ${places.map((each) => `'${each}'`).join(" ")} /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname; do (: >>"$p") 2>/dev/null && echo "wrote $p"; done
        for p in . "${rig.path("artifacts")}" "$HOME" /tmp /dev/shm /var/tmp; do : >"$p/mine" && echo "ok"; done`;
      expect(await sh(script)).toBe("ok\n".repeat(6));
      for (const place of ["worktree", "artifacts", "home/allegro"]) {
        expect(statSync(rig.path(place, "mine")).uid).toBe(user?.uid ?? process.getuid?.());
      }
      expect(existsSync("/tmp/mine")).toBe(false);
    });

    it("gives no way to write the brief through what is open", async () => {
      chmodSync(rig.path("config/prompts/1.md"), 0o666);
      const script =
        "cat; chmod 600 /proc/self/fd/0 && echo changed; (echo evil >>/proc/self/fd/0) && echo wrote";
      const seen = await sh(script, { stdinPath: rig.path("config/prompts/1.md") });
      expect(seen).toMatch(/^# Prompt\n/);
      expect(seen).not.toMatch(/^(changed|wrote)$/m);
      expect(rig.text("config/prompts/1.md")).toBe("# Prompt\n");
    });

    it("knows its own processes only, and has no capability and no way to more", async () => {
      const seen = await sh(
        "ls /proc | grep -c '^[0-9]'; kill -0 $PPID && echo parent; grep -h -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status; unshare -Ur true 2>/dev/null || echo no namespaces; grep -c : /proc/net/dev",
      );
      const [count = "", ...rest] = seen.trimEnd().split("\n");
      expect(Number(count)).toBeLessThanOrEqual(5);
      expect(rest).toEqual([
        "parent",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "no namespaces",
        "1",
      ]);
    });

    it("does not reach the host's loopback, unless its network is full", async () => {
      const server = createServer((_request, answer) => void answer.end("inside the host"));
      const port = await new Promise<number>((resolve) =>
        server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
      );
      onTestFinished(() => void server.close());
      const fetch = rig.executable(
        "ask",
        `#!/bin/bash\nexec 5<>/dev/tcp/127.0.0.1/${port} || exit 0\nprintf 'GET / HTTP/1.0\\r\\n\\r\\n' >&5; cat <&5\n`,
      );
      expect(await sh(fetch)).toContain("Connection refused");
      rmSync(rig.path("state"), { recursive: true });
      mkdirSync(rig.path("state"));
      expect(await sh(fetch, { network: "full" })).toContain("inside the host");
    });

    it("keeps an observer from writing the worktree", async () => {
      const seen = await sh(
        '(: >mine) 2>/dev/null || echo no; : >"$HOME/mine" && echo home; chmod 777 . 2>/dev/null || echo no',
        {
          role: "observer",
        },
      );
      expect(seen).toBe("no\nhome\nno\n");
    });

    it("counts its processes by itself", async () => {
      const limits = { ...rig.around.limits, processes: 40 };
      const script = "ulimit -p; n=0; while [ $n -lt 60 ]; do sleep 5 & n=$((n + 1)); done; echo all";
      const neighbour = createCellRig("cell", user === null ? null : { ...user, uid: user.uid + 1 });
      const theirs = await backend.start(
        neighbour.script("for i in 1 2 3 4 5 6 7 8 9; do sleep 60 & done; : >ready; wait", { limits }),
      );
      onTestFinished(async () => {
        await backend.stop(theirs, 0);
        neighbour.remove();
      });
      await until("the neighbour has begun", () => existsSync(neighbour.path("worktree/ready")));
      const seen = await sh(script, { limits });
      expect(seen).toMatch(/^40\n/);
      // The kernel does not hold root to any number.
      expect(seen.includes("all")).toBe(user === null && IS_ROOT);
      expect(user !== null || IS_ROOT || countsProcessesPerNamespace()).toBe(true);
      expect(await backend.observe(theirs)).toEqual({ kind: "alive" });
    });

    it("finds what cleared its environment, forked twice and lost its parent", async () => {
      const forever = "trap : TERM; : >away; while :; do sleep 0.1; done";
      const away = `setsid env -i sh -c 'sh -c "${forever}" ${rig.cellId} &' &`;
      const handle = await backend.start(rig.script(`${away}\nwhile :; do sleep 0.1; done`));
      onTestFinished(async () => void (await backend.stop(handle, 0)));
      await until("it is away", () => existsSync(rig.path("worktree/away")));
      const found = await backend.leftovers(rig.cellId, handle);
      // What it has forked looks like it until that is `sleep`.
      expect(found.filter((one) => one.command.startsWith(`sh -c ${forever}`))).not.toHaveLength(0);
      expect(await backend.stop(handle, 100)).toEqual([]);
      const living = readdirSync("/proc").filter((name) =>
        textOf(`/proc/${name}/cmdline`).includes(rig.cellId),
      );
      expect(living).toEqual([]);
    });

    it("refuses paths that would show what is not the cell's", async () => {
      for (const path of ["/", rig.root, rig.path()]) {
        await expect(backend.start(rig.script("true", { paths: [path] }))).rejects.toMatchObject({
          code: "configuration",
        });
      }
      await expect(backend.start(rig.script("true", { paths: ["/no/such"] }))).rejects.toThrow(
        /paths: \/no\/such does not exist/,
      );
    });

    it("names an agent that it cannot show, also behind a link", async () => {
      const away = mkdtempSync(join(tmpdir(), "lazarus-away-"));
      onTestFinished(() => rmSync(away, { recursive: true }));
      chmodSync(away, 0o755);
      writeFileSync(join(away, "agent"), "#!/bin/sh\necho here\n", { mode: 0o755 });
      symlinkSync(join(away, "agent"), join(rig.bin, "linked"));
      for (const command of [join(away, "agent"), "linked"]) {
        await expect(backend.start(rig.run([command]))).rejects.toMatchObject({
          code: "agent-missing",
          message: expect.stringContaining(
            "cannot be seen inside the sandbox: add its directory to the agent's paths",
          ),
        });
      }
      expect((await finish(rig.run(["linked"], { paths: [rig.bin, away] }))).log).toBe("here\n");
    });

    it("takes the work out with git, over the mirror's objects", async () => {
      const git = (cwd: string, ...args: string[]) =>
        execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.c", ...args], {
          cwd,
          encoding: "utf8",
        }).trim();
      const [mirror, tree] = [rig.around.dirs.mirror, rig.path("worktree")];
      rmSync(mirror, { recursive: true });
      const seed = join(rig.root, "seed");
      mkdirSync(seed);
      git(seed, "init", "-q");
      git(seed, "commit", "-q", "--allow-empty", "-m", "base");
      git(rig.root, "clone", "-q", "--bare", seed, mirror);
      git(rig.root, "clone", "-q", "--shared", mirror, tree);
      if (user !== null) execFileSync("chown", ["-R", `${user.uid}:${user.gid}`, tree]);
      const base = git(seed, "rev-parse", "HEAD");
      writeFileSync(join(tree, "left.txt"), "work\n");
      const env = {
        ...rig.around.env,
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@b.c",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@b.c",
      };
      for (const mode of ["git", "salvage"]) {
        const stdoutPath = rig.path("state", `${mode}.bundle`);
        const words = ["collect", mode, base, mirror, "allegro", "lazarus/4f1c0b7e", "1", ""];
        const command = ["/bin/sh", "-c", COLLECT_SCRIPT, ...words];
        const end = await backend.runToEnd(rig.child(command, { env, stdoutPath }));
        expect(end).toMatchObject({ code: 0, signal: null });
        expect(parseSaid(end.stderr)).toMatchObject({
          uncommitted: true,
          unusable: null,
          tip: expect.stringMatching(/^[0-9a-f]{40}$/),
        });
        expect(git(seed, "bundle", "list-heads", stdoutPath)).toContain("refs/lazarus/tip");
        rmSync(join(tree, ".git"), { recursive: true, force: true });
      }
    });

    describe("whose network is a list", () => {
      let gate: Gate;
      afterEach(() => gate.close());
      const open = async (hosts: readonly string[]) => {
        gate = await openGate({ cellId: rig.cellId, dir: gateDirOf(rig.around.dirs), hosts, log: silentLog });
      };

      it("reaches what is listed through the gate, which may be opened anew, and nothing else", async () => {
        const server = createServer((_request, answer) => void answer.end("from outside\n"));
        const port = await new Promise<number>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
        );
        onTestFinished(() => void server.close());
        const hosts = [`127.0.0.1:${port}`];
        await open(hosts);
        const ask = rig.executable(
          "ask",
          '#!/bin/bash\nexec 5<>/dev/tcp/127.0.0.1/3128\nprintf "GET http://$1/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" >&5; cat <&5\n',
        );
        const script = `env | grep -i proxy | sort; ${ask} 127.0.0.1:${port}; ${ask} evil.example:80; : >first; while [ ! -e again ]; do sleep 0.05; done; ${ask} 127.0.0.1:${port}; (exec 5<>/dev/tcp/127.0.0.1/1)`;
        const handle = await backend.start(rig.run(["bash", "-c", script], { network: hosts }));
        await until("it has asked", () => existsSync(rig.path("worktree/first")));
        expect(gate.refused()).toEqual(["evil.example:80"]);
        await gate.close();
        await open(hosts);
        writeFileSync(rig.path("worktree/again"), "");
        await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
        const log = rig.text("logs/allegro-1.log");
        expect(log).toContain("HTTPS_PROXY=http://127.0.0.1:3128\n");
        expect(log.match(/from outside/g)).toHaveLength(2);
        expect(log).toContain("evil.example:80 is not among the hosts this agent may reach");
        expect(log).toMatch(/Connection refused\n$/m);
      });

      it("finds a listed port of this machine's loopback where any client looks for it, and no other", async () => {
        const heard: string[] = [];
        const serve = async (name: string) => {
          const server = createServer((request, answer) => {
            heard.push(`${name} ${request.url}`);
            answer.end(`${name}\n`);
          });
          const port = await new Promise<number>((resolve) =>
            server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
          );
          onTestFinished(() => {
            server.closeAllConnections();
            server.close();
          });
          return port;
        };
        const [model, other] = [await serve("model"), await serve("other")];
        const hosts = [`127.0.0.1:${model}`];
        await open(hosts);
        const script = `
          const ask = (url, how) => fetch(url, how).then((answer) => answer.text(), (error) => error.cause.code + "\\n");
          const port = process.argv[2];
          (async () => {
            for (const host of ["127.0.0.1", "localhost", "[::1]"]) process.stdout.write(await ask("http://" + host + ":" + port + "/" + host));
            const body = "x".repeat(3_000_000);
            process.stdout.write(await ask("http://localhost:" + port + "/big", { method: "POST", body }));
            for (const host of ["127.0.0.1", "localhost", "[::1]", "127.0.0.2"]) process.stdout.write(await ask("http://" + host + ":" + process.argv[3] + "/no"));
            for (const host of ["127.0.0.2", "0.0.0.0"]) process.stdout.write(await ask("http://" + host + ":" + port + "/0"));
          })();
        `;
        const client = rig.executable("client.cjs", script);
        const spec = rig.script(`exec /run/lazarus/node ${client} ${model} ${other}`, { network: hosts });
        const { log } = await finish(spec);
        // The last but one is no listed address; the last means "this very host", where the way is.
        expect(log).toBe(`${"model\n".repeat(4)}${"ECONNREFUSED\n".repeat(5)}model\n`);
        expect(heard).toEqual([
          "model /127.0.0.1",
          "model /localhost",
          "model /[::1]",
          "model /big",
          "model /0",
        ]);
        expect(gate.refused()).toEqual([]);
      });

      it("says to a client of a listed port that nobody listens there, and leads there again once somebody does", async () => {
        const taken = createServer();
        const port = await new Promise<number>((resolve) =>
          taken.listen(0, "127.0.0.1", () => resolve((taken.address() as AddressInfo).port)),
        );
        await new Promise((resolve) => taken.close(resolve));
        const hosts = [`localhost:${port}`];
        await open(hosts);
        const client = rig.executable(
          "ask",
          '#!/bin/bash\nexec 5<>/dev/tcp/127.0.0.1/$1\nprintf "GET / HTTP/1.0\\r\\n\\r\\n" >&5; cat <&5\n',
        );
        // It may be killed while it writes to a way that was just closed.
        const ask = `${client} ${port}; echo end`;
        const wait = (name: string) => `while [ ! -e ${name} ]; do sleep 0.05; done`;
        const script = `${ask}; : >first; ${wait("gone")}; ${ask}; : >second; ${wait("back")}; ${ask}`;
        const handle = await backend.start(rig.run(["bash", "-c", script], { network: hosts }));
        await until("it has asked", () => existsSync(rig.path("worktree/first")));
        await gate.close();
        writeFileSync(rig.path("worktree/gone"), "");
        await until("it has asked again", () => existsSync(rig.path("worktree/second")));
        const later = createServer((_request, answer) => void answer.end("a model\n"));
        await new Promise<void>((resolve) => later.listen(port, "127.0.0.1", resolve));
        onTestFinished(() => void later.close());
        await open(hosts);
        writeFileSync(rig.path("worktree/back"), "");
        await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
        const [nobody, gone, back] = rig.text("logs/allegro-1.log").split("end\n");
        expect(nobody).toMatch(/^HTTP\/1\.1 502 .*lazarus: connect ECONNREFUSED [^\n]*\n$/s);
        expect(gone).not.toContain("HTTP");
        expect(back).toContain("a model\n");
      });

      it("ends well on a TERM, with the way to the gate still there", async () => {
        await open(["api.example.org"]);
        const trap =
          "trap '(exec 5<>/dev/tcp/127.0.0.1/3128) && : >bye; exit 7' TERM; : >ready; while :; do sleep 0.05; done";
        const handle = await backend.start(rig.run(["bash", "-c", trap], { network: ["api.example.org"] }));
        await until("it is ready", () => existsSync(rig.path("worktree/ready")));
        expect(await backend.stop(handle, 10_000)).toEqual([]);
        expect(await backend.observe(handle)).toMatchObject({ code: 7 });
        expect(existsSync(rig.path("worktree/bye"))).toBe(true);
      });
    });
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

describe("the sandbox's check", needs("sandbox"), () => {
  it("starts one, and is asked once", async () => {
    const backend = sandboxBackend();
    const first = await backend.check();
    expect(first).toMatchObject({
      ok: true,
      note: expect.stringContaining("their own cell, and nothing else"),
    });
    expect(await backend.check()).toBe(first);
  });
});
