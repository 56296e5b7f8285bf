import { chownSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RunSpec } from "../../../src/backends/backend.ts";
import { containerBackend } from "../../../src/backends/container/container.ts";
import { ask, containersOf } from "../../../src/backends/container/engine.ts";
import { probeContainer } from "../../../src/backends/container/probe.ts";
import { argumentsOf } from "../../../src/backends/os/proc.ts";
import { listProcesses } from "../../../src/backends/os/scan.ts";
import { backendContract } from "../../contracts/backend.contract.ts";
import { type CellRig, createCellRig } from "../../fakes/cell-rig.ts";
import { engine, image, makeImage, probed, testContainerBackend } from "../../fakes/container-engine.ts";
import { until } from "../../fakes/until.ts";
import { lacking } from "../../machine.ts";

const MODULE = fileURLToPath(new URL("../../fakes/container-engine.ts", import.meta.url));
const making = () => ({
  backend: testContainerBackend(),
  module: MODULE,
  factory: "testContainerBackend",
  leavesNothing: true,
  isFar: true,
});

let rig: CellRig;
beforeEach(() => {
  rig = createCellRig();
});
afterEach(() => rig.remove());

describe("the container backend, whatever the engine", () => {
  const backend = containerBackend({ ...engine, engine: "no-such-engine", hostPath: null });
  const start = (more: Partial<RunSpec>) => backend.start(rig.script("true", { image: "x", ...more }));

  it("says what to install where there is no engine", async () => {
    expect(await backend.check()).toMatchObject({
      ok: false,
      why: "there is no no-such-engine on the PATH",
      fix: expect.stringContaining("apt install podman"),
    });
    await expect(backend.leftovers(rig.cellId, null)).rejects.toMatchObject({
      code: "backend",
      retryable: true,
    });
  });

  it("refuses an agent without an image, and an image that is an option", async () => {
    const none = { code: "agent-missing", message: expect.stringContaining("names no image") };
    await expect(start({ image: null })).rejects.toMatchObject(none);
    const option = { code: "agent-missing", message: expect.stringContaining("is no name of an image") };
    await expect(start({ image: "--privileged" })).rejects.toMatchObject(option);
  });

  it("refuses a list of hosts, which nothing would hold", async () => {
    const message = expect.stringContaining("a list of hosts does not hold in containers in this version");
    await expect(start({ network: ["example.org"] })).rejects.toMatchObject({ code: "backend", message });
  });
});

if (!probed.ok) {
  // What it would run depends on the engine: one test stands for all.
  it("the container backend keeps its promises", lacking(`a container engine: ${probed.why}`), () => {});
} else {
  backendContract("container", making);
  if (process.getuid?.() === 0) {
    backendContract("container with a user of its own", () => ({
      ...making(),
      user: { uid: 700_300, gid: 700_300, groups: [700_301] },
    }));
  }
  describe("the container backend", realEngine);
}

function realEngine(): void {
  const backend = testContainerBackend();
  const real = { ...engine, args: probed.ok ? probed.args : [] };
  const output = () => rig.text("logs/allegro-1.log");
  const finish = async (spec: RunSpec) => {
    const handle = await backend.start(spec);
    await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
    return backend.observe(handle);
  };

  it("finds the words that its engine needs here, and says that the limits hold", async () => {
    expect(await probeContainer(engine, image)).toMatchObject({
      ok: true,
      note: expect.stringMatching(/limit/),
    });
    const missing = await probeContainer(engine, "localhost/no-such-image:0");
    expect(missing).toMatchObject({ ok: false, why: expect.stringContaining("there is no image") });
    expect(await backend.check()).toMatchObject({ ok: true, note: expect.stringContaining(engine.engine) });
  });

  const isHeld = probed.ok && probed.note.endsWith("limits hold");
  const groups = isHeld ? {} : lacking("control groups that its engine may set");
  it("holds memory and processes by control groups, over all of an agent together", groups, async () => {
    const limits = { ...rig.around.limits, memoryBytes: 64 * 1024 * 1024, processes: 20 };
    // Each by itself stays below.
    const hog = "dd if=/dev/zero of=/dev/null bs=40M count=40 2>/dev/null || echo killed >>dead";
    const forks = "i=0; while [ $i -lt 60 ]; do sleep 2 & i=$((i + 1)); done";
    await finish(rig.script(`(${hog}) & (${hog}) & (${hog}) & wait; ${forks}; echo reached`, { limits }));
    expect(rig.text("worktree/dead")).toContain("killed");
    expect(output()).toContain("can't fork");
    expect(output()).not.toContain("reached");
  });

  it("gives no capability, no new rights, no network, a root that is read-only and a /tmp of its own", async () => {
    const script = `grep -E "^Cap|NoNewPrivs" /proc/self/status; ls /sys/class/net; touch /x /bin/x /etc/x
      echo '#!/bin/sh' >/tmp/tool; chmod +x /tmp/tool; /tmp/tool && echo tmp works; ls /tmp`;
    await finish(rig.script(script));
    expect(output().match(/^Cap\w+:\s+0+$/gm)).toHaveLength(5);
    expect(output()).toMatch(/NoNewPrivs:\s+1\n/);
    expect(output()).toContain("\nlo\n");
    expect(output()).not.toContain("eth0");
    expect(output().match(/Read-only file system/g)).toHaveLength(3);
    expect(output()).toContain("tmp works");
    expect(existsSync("/tmp/tool")).toBe(false);
  });

  it("shows nothing of another cell, of the rest of its own, or of other processes", async () => {
    const other = createCellRig();
    try {
      writeFileSync(other.path("worktree/secret"), "theirs");
      writeFileSync(rig.path("logs/other.log"), "ours");
      const paths = [
        other.path("worktree/secret"),
        rig.path("state"),
        rig.path("logs"),
        "/var/lib/containers",
      ];
      await finish(rig.script(`ls ${paths.join(" ")}; cat /proc/[0-9]*/cmdline | tr '\\0' ' '`));
      expect(output().match(/No such file or directory/g)).toHaveLength(paths.length);
      expect(output()).not.toContain("vitest");
    } finally {
      other.remove();
    }
  });

  it("mounts brief and the mirror's objects read-only, and an observer's worktree", async () => {
    const objects = `${rig.around.dirs.mirror}/objects`;
    mkdirSync(objects);
    writeFileSync(`${rig.around.dirs.mirror}/config`, "");
    const brief = rig.around.dirs.brief;
    const script = `cat ${brief}; echo x >>${brief}; touch ${objects}/x; touch x; ls ${rig.around.dirs.mirror}
      : >$HOME/x && : >${rig.around.dirs.artifacts}/x && echo written`;
    await finish(rig.script(script, { role: "observer" }));
    expect(output()).toContain("# Brief\n");
    expect(output().match(/Read-only file system/g)).toHaveLength(3);
    expect(output()).toContain("\nobjects\nwritten\n");
  });

  it("has git, which works in the worktree", async () => {
    const script =
      "git init -q --template= . && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m x && git log --oneline";
    const end = await backend.runToEnd(rig.child(["sh", "-c", script], { stderrBytes: 1_000 }));
    expect(end).toMatchObject({ code: 0, stderr: "" });
    expect(rig.text("state/out")).toMatch(/^[0-9a-f]+ x\n$/);
  });

  it("never shows a value of the environment in an argument that others can read", async () => {
    const secret = `s3cret-${crypto.randomUUID()}\nsecond line`;
    const env = { ...rig.around.env, API_KEY: secret };
    const handle = await backend.start(
      rig.script('printf %s "$API_KEY" >got; while :; do sleep 0.1; done', { env }),
    );
    await until("it has run", () => existsSync(rig.path("worktree/got")) && rig.text("worktree/got") !== "");
    const words = (await listProcesses()).flatMap(({ pid }) => argumentsOf(pid));
    expect(words.some((word) => word.includes(secret.slice(0, 20)))).toBe(false);
    expect(rig.text("worktree/got")).toBe(secret);
    expect(await backend.stop(handle, 0)).toEqual([]);
  });

  it("leaves an agent the image's PATH when it was given ours", async () => {
    const ours = containerBackend({ ...real, hostPath: rig.around.env.PATH ?? "" });
    const handle = await ours.start(rig.script("echo $PATH", { image }));
    await until("it has ended", async () => (await ours.observe(handle)).kind !== "alive");
    expect(output()).toContain("/usr/local/sbin:");
    expect(output()).not.toContain(rig.bin);
  });

  it("finds and removes a container whose shim and client were killed, and leaves none that ended", async () => {
    const handle = await backend.start(rig.script(": >ready; while :; do sleep 0.1; done"));
    await until("it runs", () => existsSync(rig.path("worktree/ready")));
    expect((await containersOf(real, rig.cellId)).map(({ name }) => name)).toEqual([
      `lazarus-${rig.cellId}-1`,
    ]);
    process.kill(-handle.pid, "SIGKILL");
    await until("its shim is gone", async () => (await backend.observe(handle)).kind === "gone");
    const left = await backend.leftovers(rig.cellId, handle);
    expect(left.map(({ command }) => command)).toContain(`container lazarus-${rig.cellId}-1`);
    expect(await backend.stop(handle, 0)).toEqual([]);
    expect(await containersOf(real, rig.cellId)).toEqual([]);
    await finish(rig.script("exit 0", { run: 2 }));
    expect(await containersOf(real, rig.cellId)).toEqual([]);
  });

  it("says which image is not there, and fetches none", async () => {
    const missing = {
      code: "agent-missing",
      retryable: false,
      message: expect.stringContaining("there is no image"),
    };
    const name = "localhost/no-such-image:0";
    await expect(backend.start(rig.script("true", { image: name }))).rejects.toMatchObject(missing);
    await expect(backend.runToEnd(rig.child(["true"], { image: name }))).rejects.toMatchObject(missing);
    expect(existsSync(rig.path("state/run-1.lock"))).toBe(false);
  });

  it.each([
    ["git", "usr/bin/git", "has no git, which its work is taken out with"],
    ["place for temporary files", "bin/mktemp", "has no place for temporary files"],
  ])("says that an image has no %s", async (_, file, says) => {
    const name = `localhost/lazarus-test-less:${crypto.randomUUID().slice(0, 8)}`;
    try {
      makeImage(name, (root) => {
        rmSync(join(root, file));
        // Busybox' own shell has all that busybox can.
        rmSync(join(root, "bin/sh"));
        symlinkSync("/bin/bash", join(root, "bin/sh"));
      });
      await expect(backend.start(rig.script("true", { image: name }))).rejects.toMatchObject({
        code: "agent-missing",
        message: expect.stringContaining(says),
      });
    } finally {
      await ask(real, ["rmi", name]);
    }
  });

  it("runs as who owns the worktree where the cell has no user of its own", async () => {
    if (process.getuid?.() === 0)
      for (const each of ["worktree", "artifacts"]) chownSync(rig.path(each), 4_711, 4_712);
    const { uid, gid } = statSync(rig.path("worktree"));
    await finish(rig.script("echo $(id -u) $(id -g) >who"));
    expect(rig.text("worktree/who")).toBe(`${uid} ${gid}\n`);
  });
}
