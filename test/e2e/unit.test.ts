import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { livingOf } from "../chaos/living.ts";
import { Systemd, type UnitOptions } from "../fakes/systemd.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { Stage, seen } from "./stage.ts";

const ROOT = resolve(import.meta.dirname, "../..");

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ serve: false });
});
afterAll(() => stage?.strike());

const artifact = (cellId: string, name: string) => join(stage.lazarus.missionsDir, cellId, "artifacts", name);

const unit = (dropIn: Readonly<Record<string, string>>, others: UnitOptions["others"] = () => []) =>
  Systemd.load({
    unitPath: join(ROOT, "contrib/lazarus.service"),
    dir: stage.lazarus.dir,
    dropIn,
    paths: {
      "/usr/local/lib/lazarus/bin/lazarus.js": join(ROOT, "bin/lazarus.js"),
      "/etc/lazarus/lazarus.yaml": stage.lazarus.configPath,
    },
    others,
  });

/** An agent at work, its cell and its pid. */
async function summon(title: string) {
  const issue = await stage.openIssue(title);
  const { stdout } = await stage.lazarus.cli("--json", "summon", "patient", `${issue.repo}#${issue.number}`);
  const cellId = String(JSON.parse(stdout).cells[0].id);
  const pid = await seen(
    "the agent's pid",
    () => readFile(artifact(cellId, "pid"), "utf8").catch(() => ""),
    /\d\n/,
  );
  return { issue, cellId, pid: Number(pid) };
}

describe("lazarus.service", needs("python3"), () => {
  it.each<[string, Readonly<Record<string, string>>, (systemd: Systemd) => Promise<unknown>, unknown]>([
    ["is stopped", {}, (systemd) => systemd.stop(), 0],
    [
      "is stopped while it hangs, and killed for it",
      { TimeoutStopSec: "1" },
      async (systemd) => {
        process.kill(systemd.pid, "SIGSTOP");
        return systemd.stop();
      },
      "SIGKILL",
    ],
    [
      "hangs, and the watchdog ends it",
      { WatchdogSec: "1", TimeoutStopSec: "1" },
      async (systemd) => {
        const fed = () => systemd.heard.filter((word) => word === "WATCHDOG=1").length;
        await until("the watchdog was fed", () => fed() >= 3);
        process.kill(systemd.pid, "SIGSTOP");
        return systemd.bark();
      },
      "SIGKILL",
    ],
  ])("leaves agents at work where it %s, and finds them again", async (_, dropIn, end, how) => {
    let cellId = "";
    const systemd = await unit(dropIn, () => livingOf(cellId));
    try {
      await systemd.start();
      expect(systemd.heard[0]).toMatch(
        /^READY=1\nSTATUS=listening on http:\/\/\S+, 7 agents, 0 cells adopted$/,
      );
      const agent = await summon("Outlive a unit");
      cellId = agent.cellId;
      expect(await end(systemd)).toBe(how);
      expect(systemd.heard.includes("STOPPING=1")).toBe(how === 0);
      expect(process.kill(agent.pid, 0)).toBe(true);

      await systemd.start();
      expect(systemd.heard[0]).toMatch(/, 1 cell adopted$/);
      await writeFile(artifact(cellId, "go"), "");
      await stage.card(agent.issue, /patient is done.*→ draft #\d+/);
      expect(await systemd.stop()).toBe(0);
    } finally {
      await systemd.close();
    }
  });

  it("would end them without KillMode=process: that is what the unit is for", async () => {
    let cellId = "";
    const systemd = await unit({ KillMode: "control-group" }, () => livingOf(cellId));
    try {
      await systemd.start();
      cellId = (await summon("End with a unit")).cellId;
      await systemd.stop();
      expect(livingOf(cellId)).toEqual([]);
    } finally {
      await systemd.close();
    }
  });
});
