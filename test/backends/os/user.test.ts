import { chmodSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { CellUser } from "../../../src/backends/backend.ts";
import { processesOf } from "../../../src/backends/os/scan.ts";
import {
  asUser,
  countsProcessesPerNamespace,
  mayExecute,
  setprivArguments,
} from "../../../src/backends/os/user.ts";
import { processBackend } from "../../../src/backends/process.ts";
import { backendContract } from "../../contracts/backend.contract.ts";
import { type CellRig, createCellRig } from "../../fakes/cell-rig.ts";
import { until } from "../../fakes/until.ts";
import { needs } from "../../machine.ts";

const USER: CellUser = { uid: 700_300, gid: 700_301, groups: [700_302, 700_303] };
const MODULE = fileURLToPath(new URL("../../../src/backends/process.ts", import.meta.url));

describe("a user of a cell's own", () => {
  it("is taken on before the command, by numbers, without a way back", () => {
    expect(setprivArguments(USER)).toEqual([
      ...["--reuid", "700300", "--regid", "700301", "--groups", "700302,700303"],
      ...["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"],
    ]);
    expect(setprivArguments({ ...USER, groups: [] })).toContain("--clear-groups");
    expect(asUser(null, ["a", "b"])).toEqual(["a", "b"]);
  });

  it.each([
    [0o100, 700_300, 0, true],
    [0o011, 700_300, 700_301, false],
    [0o010, 1, 700_301, true],
    [0o010, 1, 700_303, true],
    [0o101, 1, 700_302, false],
    [0o001, 1, 1, true],
    [0o110, 1, 1, false],
  ])("may execute %o of %i:%i: %s", (mode, uid, gid, expected) => {
    expect(mayExecute({ mode, uid, gid }, USER)).toBe(expected);
  });

  it.each([
    ["5.10.0-30-amd64", false],
    ["5.14.0", true],
    ["4.19", false],
    ["6.1.0-13", true],
  ])("is not needed to count processes on Linux %s: %s", (kernel, expected) => {
    expect(countsProcessesPerNamespace(kernel)).toBe(expected);
  });

  it("is refused where Lazarus is not root", needs("ordinary user"), () => {
    expect(() => asUser(USER, ["true"])).toThrow("only root can run as uid 700300");
  });
});

describe("as root", needs("root"), () => {
  backendContract("process with a user of its own", () => ({
    ...{ backend: processBackend(), module: MODULE, factory: "processBackend", user: USER },
  }));

  describe("the process backend with a user of its own", () => {
    const backend = processBackend();
    let rig: CellRig;
    beforeEach(() => {
      rig = createCellRig("cell", USER);
    });
    afterEach(() => rig.remove());
    const finish = async (script: string, limits = rig.around.limits) => {
      const handle = await backend.start(rig.script(script, { limits }));
      await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
      return rig.text("logs/allegro-1.log");
    };

    it("runs as that user, and keeps the state for Lazarus", async () => {
      const seen = await finish(
        `id -u; id -g; id -G; grep -h NoNewPrivs /proc/self/status; ls "${rig.path("state")}" 2>&1 >/dev/null | wc -l; : >mine`,
      );
      expect(seen).toBe("700300\n700301\n700301 700302 700303\nNoNewPrivs:\t1\n0\n");
      expect(statSync(rig.path("worktree/mine")).uid).toBe(700_300);
      expect(statSync(rig.path("state/exit.json")).uid).toBe(0);
      const end = await backend.runToEnd(rig.child(["id", "-u"]));
      expect([end.code, rig.text("state/out")]).toEqual([0, "700300\n"]);
    });

    it("names the first directory on the way that the user cannot enter", async () => {
      const file = rig.executable("agent", "#!/bin/sh\n");
      chmodSync(rig.bin, 0o700);
      await expect(backend.start(rig.run([file]))).rejects.toMatchObject({
        code: "agent-missing",
        message: `cannot start allegro: ${file} cannot be reached by the cell's own user, uid 700300: it may not enter ${rig.bin}`,
      });
      chmodSync(rig.bin, 0o755);
      chmodSync(file, 0o744);
      await expect(backend.start(rig.run([file]))).rejects.toThrow(
        "is not executable for the cell's own user",
      );
    });

    it("holds the number of processes", async () => {
      // A user that no other test had: the dead that nobody has reaped yet count too.
      rig.remove();
      rig = createCellRig("cell", { ...USER, uid: 700_310 });
      const limits = { ...rig.around.limits, processes: 20 };
      const seen = await finish(
        "n=0; while [ $n -lt 40 ]; do sleep 5 & n=$((n + 1)); done; echo all",
        limits,
      );
      expect(seen).toMatch(/fork/i);
      expect(seen).not.toContain("all");
    });

    it("finds what cleared its environment, left the session and lost its parent", async () => {
      writeFileSync(join(rig.bin, "away"), "#!/bin/sh\n: >away\nexec sleep 60\n", { mode: 0o755 });
      const handle = await backend.start(
        rig.script(`setsid env -i sh -c 'setsid ${join(rig.bin, "away")} &' &\nwait; exit 0`),
      );
      onTestFinished(async () => void (await backend.stop(handle, 0)));
      await until("it is away", () => existsSync(rig.path("worktree/away")));
      await until("the run has ended", async () => (await backend.observe(handle)).kind !== "alive");
      const blind = { ...handle, uid: null };
      expect(await backend.leftovers(rig.cellId, blind)).toEqual([]);
      expect(await backend.leftovers(rig.cellId, handle)).toMatchObject([{ command: "sleep 60" }]);
      expect(await backend.stop(handle, 100)).toEqual([]);
      expect(await backend.leftovers(rig.cellId, handle)).toEqual([]);
    });

    it("never takes root's processes, or our own, for a cell's", async () => {
      expect(await processesOf({ cellId: "none", leader: null, byMarker: false, uid: 0 })).toEqual([]);
    });
  });
});
