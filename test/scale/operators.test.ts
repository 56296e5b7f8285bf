import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";

let fleet: FleetStage;
beforeAll(async () => {
  fleet = await FleetStage.set();
});
afterAll(() => fleet?.strike());

describe("a runner whose disk is full when it starts", needs("redis-server", "root"), () => {
  it("says so and waits, and joins once there is room", async ({ skip }) => {
    const runner = await fleet.make({ join: await fleet.add("full"), more: { data: "./small/data" } });
    const small = join(runner.dir, "small");
    await mkdir(small);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0711", "tmpfs", small]);
    if (mounted.status !== 0) skip("a file system of its own");
    try {
      const { bavail, bsize } = await statfs(small);
      await writeFile(join(small, "ballast"), Buffer.alloc(bavail * bsize));
      const started = runner.start();
      await until("it says so", () =>
        runner.log.includes("the disk is full: make room, and Lazarus goes on"),
      );
      expect([runner.out, runner.exitCode]).toEqual(["", null]);
      await rm(join(small, "ballast"));
      await started;
      await fleet.heard("full");
    } finally {
      await runner.end();
      spawnSync("umount", [small]);
    }
  });
});

describe("what people and operators do", needs("redis-server"), () => {
  it("a stop waits for a runner that is away, and then holds", async () => {
    const { stage, runner } = fleet;
    const cell = await fleet.summon("Stopped while away");
    await runner.end("SIGKILL");
    await stage.type(stage.dev, cell.issue, "/lazarus stop");
    await runner.start();
    await stage.card(cell.issue, /stopped by dev/);
    expect(existsSync(fleet.artifact(cell.cellId, "go"))).toBe(false);
    expect(await readFile(fleet.artifact(cell.cellId, "starts"), "utf8")).toBe("start\n");
  });

  it("a second process on the same data is refused, and one with its key elsewhere is named", async () => {
    const { runner } = fleet;
    const twin = await fleet.make();
    const same = await fleet.make({ agents: {}, more: { data: join(runner.dir, "data") } });
    try {
      await same.start();
      expect([same.exitCode, same.log]).toEqual([2, expect.stringMatching(/is this runner started twice\?/)]);
      await twin.start();
      await until(
        "both are named",
        async () =>
          (await fleet.listed())?.note.includes("two processes say that they are this runner") === true,
      );
    } finally {
      await same.remove();
      await twin.remove();
    }
    await runner.end();
    await runner.start();
    await fleet.heard();
  });

  it("a drained runner gets nothing new, and the card says why", async () => {
    const { stage } = fleet;
    await stage.lazarus.cli("runner", "drain", "r1");
    const issue = await stage.openIssue("Nowhere to go");
    await stage.type(stage.dev, issue, "/lazarus summon waits");
    await stage.card(issue, /r1: it is being drained/);
    await stage.lazarus.cli("runner", "undrain", "r1");
    await stage.card(issue, /waits is working/);
    await fleet.goOn({ issue, cellId: await stage.cellId(issue) });
  });

  it("a runner's file with a secret of the forge in it is refused, in words", async () => {
    const bad = await fleet.make({ agents: {}, more: { forge: { token: "a-token-of-the-bot" } } });
    await bad.start();
    expect([bad.exitCode, bad.log]).toEqual([
      2,
      expect.stringMatching(/forge\.token: must not be on a runner/),
    ]);
  });

  it("a rotated key is another, and the one before holds for a while", async () => {
    const { stage, runner } = fleet;
    const { stdout } = await stage.lazarus.cli("runner", "rotate", "r1", "--json");
    await fleet.heard();
    await runner.end();
    await writeFile(join(runner.dir, "join"), (JSON.parse(stdout) as { join: string }).join, { mode: 0o600 });
    await runner.start();
    await fleet.heard();
  });

  it("a forgotten runner is heard no more; its cells are lost, and what it pushed stays", async () => {
    const { stage } = fleet;
    const cell = await fleet.summon("Given up");
    const refused = await stage.lazarus.cli("runner", "forget", "r1");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringMatching(/would be given up/)]);
    expect((await stage.lazarus.cli("runner", "forget", "r1", "--yes")).code).toBe(0);
    await stage.card(cell.issue, /[Ii]ts runner r1 was given up/);
    expect(await stage.status(cell.cellId)).toMatchObject({ state: "archived", outcome: "lost" });
    expect(await fleet.listed()).toBeUndefined();
  });
});
