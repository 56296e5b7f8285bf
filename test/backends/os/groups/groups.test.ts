import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend, Handle, RunSpec } from "../../../../src/backends/backend.ts";
import { type CellGroups, noGroups } from "../../../../src/backends/os/groups/cell-groups.ts";
import { findGroups } from "../../../../src/backends/os/groups/find-groups.ts";
import { placesIn } from "../../../../src/backends/os/groups/hierarchies.ts";
import { processBackend } from "../../../../src/backends/process.ts";
import { sandboxBackend } from "../../../../src/backends/sandbox/sandbox.ts";
import { systemClock } from "../../../../src/clock.ts";
import { type CellRig, createCellRig } from "../../../fakes/cell-rig.ts";
import { until } from "../../../fakes/until.ts";
import { needs } from "../../../machine.ts";

const MB = 1024 ** 2;
const LIMITS = { memoryBytes: 200 * MB, processes: null, fileBytes: null, openFiles: null };
/** memfd_create(2) is number 319 on x86_64, 279 on aarch64. */
const CREATE = process.arch === "arm64" ? 279 : 319;
const MEMFD = `perl -e 'my $fd = syscall(${CREATE}, my $name = "x", 0); open(my $f, ">&=", $fd) or die; binmode $f;
my $mb = "x" x 1048576; for (1..2000) { syswrite($f, $mb) == 1048576 or die } print "all of it\\n"'`;
const fill = (path: string) => `head -c 2000000000 /dev/zero >${path} && echo all of it`;

const MAKERS: Readonly<Record<string, (groups: CellGroups) => Backend>> = {
  process: (groups) => processBackend(systemClock, groups),
  sandbox: (groups) => sandboxBackend(systemClock, groups),
};

for (const [name, make] of Object.entries(MAKERS)) {
  const wants = name === "sandbox" ? (["control groups", "sandbox"] as const) : (["control groups"] as const);
  describe(`a control group around ${name}`, needs(...wants), () => {
    let rig: CellRig;
    let groups: CellGroups;
    let backend: Backend;
    let handle: Handle | null;

    beforeEach(async () => {
      rig = createCellRig();
      groups = await findGroups(rig.root);
      backend = make(groups);
      handle = null;
    });
    afterEach(async () => {
      if (handle !== null) await backend.stop(handle, 0);
      await groups.remove(rig.cellId);
      rig.remove();
    });

    const start = async (spec: RunSpec) => {
      handle = await backend.start(spec);
      return handle;
    };
    const finish = async (spec: RunSpec) => {
      const begun = await start(spec);
      await until("it has ended", async () => (await backend.observe(begun)).kind !== "alive");
      return rig.text("logs/allegro-1.log");
    };

    it("holds what an agent puts into memfd", async () => {
      const printed = await finish(rig.script(`${MEMFD}; echo ended $?`, { limits: LIMITS }));
      expect(printed).not.toContain("all of it");
      expect(printed).toMatch(/ended 137/);
      expect(groups.memoryKills(rig.cellId)).toMatchObject({ isOwnLimit: true });
      expect(groups.memoryKills(rig.cellId)?.kills).toBeGreaterThan(0);
    });

    it("holds what all of its processes have together", async () => {
      const one = `perl -e 'my $x = "x" x 90_000_000; print "has it\\n"; sleep 1 while 1'`;
      await start(rig.script(`for n in 1 2 3 4; do ${one} & done; wait`, { limits: LIMITS }));
      await until("one of them was killed", () => (groups.memoryKills(rig.cellId)?.kills ?? 0) > 0);
    });

    it("holds its number of processes, whoever it runs as", async () => {
      const limits = { ...LIMITS, processes: 20 };
      // A shell that cannot fork ends, and the sandbox with its first program: another one makes the processes.
      const many = "n=0; while [ $n -lt 60 ]; do sleep 600 & n=$((n+1)); done";
      await start(rig.script(`( ${many} ); exec sleep 600`, { limits }));
      const most = 20 + 16;
      await until("no more can be started", () => groups.members(rig.cellId).size >= 20);
      await until("it says so", () => /fork|resource/i.test(rig.text("logs/allegro-1.log")));
      expect(groups.members(rig.cellId).size).toBeLessThanOrEqual(most);
    });

    it("leaves others more of the CPU while the machine is busy, where it can", async () => {
      await start(rig.script("exec sleep 600"));
      const files = groupsOf(rig.cellId).flatMap((dir) =>
        ["cpu.weight", "cpu.shares"].map((one) => join(dir, one)),
      );
      const weights = files
        .filter((file) => existsSync(file))
        .map((file) => readFileSync(file, "utf8").trim());
      // Others have 100 in version 2 and 1024 in version 1.
      const isPromised = groups.check.ok && groups.check.note.includes("a share of the CPU");
      expect(weights).toEqual(isPromised ? [expect.stringMatching(/^(50|512)$/)] : []);
    });

    it("has agents killed before Lazarus when the machine has no more memory", async () => {
      expect(await finish(rig.script("cat /proc/self/oom_score_adj"))).toBe("1000\n");
      expect(readFileSync("/proc/self/oom_score_adj", "utf8")).not.toBe("1000\n");
    });

    it("names and ends what lives in it, also for another process of ours", async () => {
      const hidden = "setsid env -i /bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'";
      const begun = await start(rig.script(`${hidden} & : >ready; exec sleep 600`));
      await until("it is ready", () => existsSync(rig.path("worktree/ready")));
      const again = await findGroups(rig.root);
      expect(again.members(rig.cellId).size).toBeGreaterThanOrEqual(2);
      expect(await make(again).stop(begun, 0)).toEqual([]);
      expect(groups.members(rig.cellId).size).toBe(0);
      // And it can be used again.
      expect((await backend.runToEnd(rig.child(["true"]))).code).toBe(0);
    });

    it("goes with its cell, and is cleared away where a killed server left it", async () => {
      const begun = await start(rig.script("exec sleep 600"));
      expect(isThere(rig.cellId)).toBe(true);
      const again = await findGroups(rig.root);
      await again.sweep(new Set([rig.cellId]));
      expect((await backend.observe(begun)).kind).toBe("alive");
      await again.sweep(new Set());
      await until("it has ended", async () => (await backend.observe(begun)).kind !== "alive");
      expect(isThere(rig.cellId)).toBe(false);
    });

    it("is gone with a short command that was the first in it", async () => {
      const spec = rig.child(["cat", "/proc/self/cgroup"]);
      expect((await backend.runToEnd(spec)).code).toBe(0);
      if (name === "process") expect(rig.text("state/out")).toContain(rig.cellId);
      expect(isThere(rig.cellId)).toBe(false);
    });

    it("starts nothing where it cannot be entered", async () => {
      const closed: CellGroups = {
        ...noGroups(),
        enter: () => groups.enter(rig.around).replaceAll("lazarus-", "nowhere-"),
      };
      const begun = await make(closed).start(rig.script("echo it runs"));
      await until("it has ended", async () => (await backend.observe(begun)).kind !== "alive");
      expect(await backend.observe(begun)).toMatchObject({ code: 73 });
      expect(rig.text("logs/allegro-1.log")).toContain("its control group could not be entered");
    });

    it("counts what lies in memory as files", needs("sandbox"), async () => {
      const sandbox = MAKERS.sandbox?.(groups) ?? backend;
      for (const path of ["/tmp/big", "/dev/shm/big"]) {
        const end = await sandbox.runToEnd(
          rig.child(["sh", "-c", fill(path)], {
            limits: LIMITS,
            stdoutPath: rig.path("state", path.slice(1, 4)),
          }),
        );
        expect(end.code).not.toBe(0);
      }
    });
  });
}

function isThere(cellId: string): boolean {
  return groupsOf(cellId).length > 0;
}

/** A cell's groups in all trees of this machine: looked for where the kernel shows them. */
function groupsOf(cellId: string): string[] {
  const { unified, v1 } = placesIn(
    readFileSync("/proc/self/mountinfo", "latin1"),
    readFileSync("/proc/self/cgroup", "latin1"),
  );
  const dirs = [unified, ...v1.values()].flatMap((one) => (one === null ? [] : [one.own, one.mount]));
  const places = [...new Set(dirs)].flatMap((dir) => (dir === null ? [] : [dir, join(dir, "lazarus")]));
  return places
    .filter((place) => existsSync(place))
    .flatMap((place) =>
      readdirSync(place)
        .filter((name) => name.endsWith(cellId))
        .map((name) => join(place, name)),
    );
}

describe("where groups are looked for", () => {
  const line = (root: string, mount: string, type: string, options: string) =>
    `35 28 0:30 ${root} ${mount} rw,nosuid shared:9 - ${type} cgroup ${options}`;

  it("is below our own group, in each tree", () => {
    const mountinfo = [
      "22 1 254:0 / / rw - ext4 /dev/vda rw",
      line("/", "/sys/fs/cgroup/unified", "cgroup2", "rw"),
      line("/", "/sys/fs/cgroup/memory", "cgroup", "rw,memory"),
      line("/", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
      line("/", "/sys/fs/cgroup/pids", "cgroup", "rw,pids"),
    ].join("\n");
    const cgroup = "5:memory:/a b\n4:cpu,cpuacct:/\n3:pids:/system.slice/lazarus.service\n0::/me\n";
    const { unified, v1 } = placesIn(mountinfo, cgroup);
    expect(unified?.own).toBe("/sys/fs/cgroup/unified/me");
    expect([...v1].map(([name, { own }]) => [name, own])).toEqual([
      ["memory", "/sys/fs/cgroup/memory/a b"],
      ["cpu", "/sys/fs/cgroup/cpu,cpuacct"],
      ["pids", "/sys/fs/cgroup/pids/system.slice/lazarus.service"],
    ]);
  });

  it("is nowhere outside of what is mounted, and blanks in paths are read", () => {
    const mountinfo = line("/docker/one", "/sys/fs/c\\040group", "cgroup2", "rw,nsdelegate");
    expect(placesIn(mountinfo, "0::/docker/one/below").unified?.own).toBe("/sys/fs/c group/below");
    expect(placesIn(mountinfo, "0::/docker/other").unified?.own).toBe(null);
    expect(placesIn(mountinfo, "0::/../x").unified?.own).toBe(null);
    expect(placesIn("", "").unified).toBe(null);
  });
});
