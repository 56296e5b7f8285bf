import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type ContainerPlan, containerArguments, unspeakable } from "../../../src/backends/container/args.ts";
import { readFacts } from "../../../src/backends/container/engine.ts";
import { INIT } from "../../../src/backends/container/scripts.ts";

const dirs = {
  cell: "/m/c",
  worktree: "/m/c/worktree",
  artifacts: "/m/c/artifacts",
  home: "/m/c/home/allegro",
  brief: "/m/c/config/brief.md",
  prompt: "/m/c/config/prompts/1.md",
  mirror: "/d/mirror",
};
const facts = {
  dialect: "podman",
  version: "5",
  rootless: false,
  selinux: false,
  holds: { memory: true, processes: true, cpu: true },
} as const;
const plan: ContainerPlan = {
  name: "lazarus-c-1",
  run: "1",
  image: "localhost/agents:1",
  around: {
    cellId: "c",
    dirs,
    env: { LAZARUS_CELL: "c", HOME: dirs.home, KEY: "s3cret" },
    role: "executor",
    limits: { memoryBytes: 4_096_000, processes: 512, fileBytes: 2_000, openFiles: 1_024 },
    network: "none",
    paths: ["/opt/agent"],
    image: "localhost/agents:1",
    user: null,
  },
  command: ["/opt/agent/run", "--yes"],
  interactive: true,
  facts,
  user: { uid: 700_001, gid: 700_001, groups: [700_900] },
  hard: { files: 20_000, processes: 96_365 },
  objects: "/d/mirror/objects",
};
const words = (more: Partial<ContainerPlan> = {}) =>
  containerArguments({ ...plan, ...more })
    .args.map((word) => (word === INIT ? "INIT" : word))
    .join(" ")
    .replace(/ (?=--)/g, "\n");
const around = (more: Partial<ContainerPlan["around"]>) => ({ around: { ...plan.around, ...more } });

describe("the words for a container", () => {
  it("are these", () => {
    expect(words()).toMatchInlineSnapshot(`
      "run
      --rm
      --pull never
      --log-driver none
      --name lazarus-c-1
      --label lazarus.cell=c
      --label lazarus.run=1
      --interactive
      --cap-drop ALL
      --security-opt no-new-privileges
      --read-only
      --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777
      --image-volume tmpfs
      --network none
      --user 700001:700001
      --group-add 700900
      --memory 4096000
      --memory-swap 4096000
      --pids-limit 513
      --cpu-shares 512
      --ulimit core=0:0
      --ulimit fsize=2000:2000
      --ulimit nofile=1024:1024
      --ulimit nproc=16384:16384
      --mount type=bind,source=/m/c/worktree,destination=/m/c/worktree
      --mount type=bind,source=/m/c/artifacts,destination=/m/c/artifacts
      --mount type=bind,source=/m/c/home/allegro,destination=/m/c/home/allegro
      --mount type=bind,source=/m/c/config/brief.md,destination=/m/c/config/brief.md,readonly
      --mount type=bind,source=/m/c/config/prompts/1.md,destination=/m/c/config/prompts/1.md,readonly
      --mount type=bind,source=/opt/agent,destination=/opt/agent,readonly
      --mount type=bind,source=/d/mirror/objects,destination=/d/mirror/objects,readonly
      --workdir /m/c/worktree
      --env LZE_1
      --env LZE_2
      --env LZE_3
      --env LAZARUS_CELL
      --entrypoint /bin/sh localhost/agents:1 -c INIT lazarus-init LAZARUS_CELL HOME KEY lzs_dir PWD OLDPWD SHLVL _  /opt/agent/run
      --yes"
    `);
  });

  it("hold no value of the environment, which is handed on under other names", () => {
    expect(words()).not.toContain("s3cret");
    expect(containerArguments(plan).env).toEqual({
      LZE_1: "c",
      LZE_2: dirs.home,
      LZE_3: "s3cret",
      LAZARUS_CELL: "c",
    });
  });

  it("give an observer the worktree read-only", () => {
    const seen = words(around({ role: "observer" }));
    expect(seen).toContain(`source=${dirs.worktree},destination=${dirs.worktree},readonly`);
  });

  it("quote a path that would be more than one field", () => {
    const seen = words(around({ dirs: { ...dirs, home: '/m/a,readonly=false\n"b"' } }));
    expect(seen).toContain(
      'type=bind,"source=/m/a,readonly=false\n""b""","destination=/m/a,readonly=false\n""b"""',
    );
  });

  it("leave the network to the engine where it is full", () => {
    expect(words()).toContain("--network none");
    expect(words(around({ network: "full" }))).not.toContain("--network");
  });

  it("map the ordinary user where the engine has no rights of root", () => {
    const rootless = { ...facts, rootless: true };
    expect(words({ facts: rootless })).toContain("--userns keep-id\n--user 700001:700001");
    expect(words({ facts: { ...rootless, dialect: "docker" } })).toContain("--user 0:0");
    expect(words({ facts: { ...rootless, dialect: "docker" } })).not.toMatch(/keep-id|image-volume/);
  });

  it("name no limit that control groups cannot hold here", () => {
    const seen = words({ facts: { ...facts, holds: { memory: false, processes: false, cpu: false } } });
    expect(seen).not.toMatch(/--memory|--pids-limit|--cpu-shares/);
    expect(seen).toContain("SHLVL _ 4000 /opt/agent/run");
  });

  it("never ask for more open files than we may give", () => {
    const limits = { ...plan.around.limits, openFiles: 1_000_000 };
    expect(words(around({ limits }))).toContain("nofile=20000:20000");
    expect(words(around({ limits: { ...limits, openFiles: null } }))).toContain("nofile=20000:20000");
  });

  it("are not made of names that a shell cannot pass on", () => {
    expect(unspeakable({ A: "", _b1: "", "a-b": "", "1A": "", LZE_1: "", "": "" })).toEqual([
      "a-b",
      "1A",
      "LZE_1",
      "",
    ]);
  });
});

describe("the first process of a container", () => {
  const shells = [["dash"], ["bash", "--norc", "--posix"], ["busybox", "sh"]].filter(
    ([shell = ""]) => spawnSync(shell, ["-c", "true"]).error === undefined,
  );
  it.each(shells)("leaves exactly the environment that was meant, in %s", (shell = "", ...options) => {
    const env = {
      PATH: "/usr/bin:/bin",
      container: "podman",
      HOSTNAME: "x",
      ODD: "a\nexport PATH=1\nb",
      LZE_1: "it's $HOME\n`id`",
      LZE_2: "/h",
    };
    const noise = "PWD OLDPWD SHLVL _";
    const run = spawnSync(shell, [...options, "-c", INIT, "init", "KEY HOME", noise, "100000", "env", "-0"], {
      env,
    });
    expect(run.stdout.toString().split("\0").slice(0, -1).sort()).toEqual([
      "HOME=/h",
      "KEY=it's $HOME\n`id`",
      "PATH=/usr/bin:/bin",
    ]);
  });
});

describe("what an engine says of itself", () => {
  it("is read from podman, whose ordinary users have no limits with version 1 of control groups", () => {
    const host = (rootless: boolean, cgroupVersion: string) =>
      JSON.stringify({
        host: { cgroupVersion, cgroupControllers: ["memory", "pids"], security: { rootless } },
        version: { Version: "4.3.1" },
      });
    expect(readFacts(host(false, "v1"))).toEqual({
      dialect: "podman",
      version: "4.3.1",
      rootless: false,
      selinux: false,
      holds: { memory: true, processes: true, cpu: false },
    });
    expect(readFacts(host(true, "v1"))?.holds).toEqual({ memory: false, processes: false, cpu: false });
    expect(readFacts(host(true, "v2"))?.holds.memory).toBe(true);
  });

  it("is read from docker, and not from one whose service is away", () => {
    const docker = { ServerVersion: "28.2.2", MemoryLimit: true, PidsLimit: true, CPUShares: true };
    const options = ["name=seccomp,profile=builtin", "name=rootless"];
    expect(readFacts(JSON.stringify({ ...docker, SecurityOptions: options }))).toMatchObject({
      dialect: "docker",
      rootless: true,
      holds: { memory: true, processes: true, cpu: true },
    });
    expect(readFacts(JSON.stringify({ ServerVersion: "", ServerErrors: ["no"] }))).toBeNull();
    expect(readFacts("<html>")).toBeNull();
  });
});
