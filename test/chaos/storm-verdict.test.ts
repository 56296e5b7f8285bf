import { execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Registry } from "../../src/cells/registry/registry.ts";
import { systemClock } from "../../src/clock.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { startStandInServer } from "../e2e/servers.ts";
import { newCell } from "../fakes/control-rig.ts";
import { until } from "../fakes/until.ts";
import { agentScripts, TRACES } from "./storm/agents.ts";
import { Dice } from "./storm/dice.ts";
import { Ledger } from "./storm/ledger.ts";
import { lookForLeftovers } from "./storm/leftovers.ts";
import { lookAtWork } from "./storm/work.ts";
import { makeWorld, type World } from "./storm/world.ts";

let world: World;
let db: Db;
const ledger = new Ledger();
const TIP = "a".repeat(40);

/** A world in which Lazarus never was, with a registry as it could have left it. */
beforeAll(async () => {
  world = await makeWorld(new Dice("verdict"), startStandInServer);
  mkdirSync(world.dataDir, { recursive: true });
  db = openDb(join(world.dataDir, "lazarus.db"));
});
afterAll(async () => {
  db?.close();
  await world?.remove();
});

/** Where the draft would be. */
const pull = () => world.threads[1]?.number ?? 2;

/** An idle cell that was worked in once, of which all is published. */
function idleCell(registry: Registry): string {
  const repository = { id: Number(world.repositoryIds.get("acme/app")), fullName: "acme/app" };
  const cell = newCell(Date.now(), { repository, number: world.threads[0]?.number ?? 1 });
  registry.insert(cell, [], "summoned");
  registry.addRun({ ...cell, cellId: cell.id, role: "executor", state: "waiting" });
  db.sql.exec("UPDATE runs SET state = 'ended', exit_class = 'done'");
  const checked = { tip: TIP, plan: [], faults: [], trouble: null, stopped: null };
  const values = {
    pull: pull(),
    tip: TIP,
    harvest: JSON.stringify({ tip: TIP }),
    checked: JSON.stringify(checked),
  };
  const columns = "published_tip = @tip, harvest = @harvest, checked = @checked, pull_request = @pull";
  db.sql.prepare(`UPDATE cells SET state = 'idle', ${columns}`).run(values);
  return cell.id;
}

it("finds nothing wrong where nothing is, and each thing that is", async () => {
  const registry = new Registry(db, systemClock);
  const cell = idleCell(registry);
  expect(await lookAtWork(world, ledger)).toEqual({ lost: [], doubled: [], left: [] });

  const point = {
    kind: "body",
    pull: pull(),
    reviewId: 5,
    commentId: 1,
    author: { id: 3, login: "dev" },
  } as const;
  const at = { path: "", line: 0, oldLine: 0, commit: "", hunk: "", said: "do it", at: 1 };
  registry.items.add(cell, [
    { ...point, ...at, part: 0 },
    { ...point, ...at, part: 1 },
    { ...point, ...at, part: 2 },
  ]);
  db.sql.exec("UPDATE items SET state = 'given', turn = 1 WHERE n = 2");
  db.sql.exec("UPDATE items SET state = 'answered', turn = 1, verdict = 'done' WHERE n = 3");
  const review = { repo: "acme/app", number: pull(), by: "dev" };
  ledger.reviews.push({ ...review, id: 5, points: 2 }, { ...review, id: 6, points: 2 });
  ledger.proposals.push({ repo: "acme/app", number: world.threads[0]?.number ?? 1, by: "dev" });
  registry.team.add(cell, ["quick"]);
  registry.visits.add(cell, "lazy", { id: 3, login: "dev" });
  const check = { cellId: cell, tip: TIP, name: "tests", side: "tip", commit: TIP } as const;
  registry.checks.add({ ...check, basis: "b", agent: "quick" });
  writeFileSync(
    join(world.lazarus.dir, "out", TRACES.together),
    `${cell} check tests beside quick in turn 1\n`,
  );

  const { lost, doubled, left } = await lookAtWork(world, ledger);
  expect(lost).toEqual([
    expect.stringContaining("the turn of quick never came"),
    expect.stringContaining("point 1 waits, and no turn begins"),
    expect.stringContaining("review 6 by dev: 0 of 2 points were taken"),
    expect.stringContaining("the answers of turn 1 were never posted"),
    expect.stringContaining("lazy was invited to look, and never did"),
    expect.stringContaining("nobody read it"),
  ]);
  expect(doubled).toEqual([
    expect.stringContaining("check tests beside quick in turn 1"),
    expect.stringContaining("review 5 by dev: 3 points of 2"),
  ]);
  expect(left).toEqual([
    expect.stringContaining("check 1 (tests) is waiting"),
    expect.stringContaining("point 2 was given in turn 1, and is not settled"),
  ]);
});

it("sees what lies on a runner and is another's, or nobody's", async () => {
  const runners = ["r1", "r2"].map((name) => ({
    ...{ name, dataDir: join(world.disk.dir, name, "data") },
    missionsDir: join(world.disk.dir, name, "missions"),
  }));
  const fleet: World = { ...world, hosts: [world.hosts[0], ...runners] };
  const { id } = db.sql.prepare("UPDATE cells SET runner = 'r1' RETURNING id").get() as { id: string };
  const before = await lookForLeftovers(fleet);
  expect(before.doubled).toEqual([]);
  expect(before.left).toContain(`cell ${id} (idle): it has no directory`);
  for (const name of ["r1", "r2"]) mkdirSync(join(world.disk.dir, name, "missions", id), { recursive: true });
  mkdirSync(join(world.disk.dir, "r1", "missions", `.gone-${id}`));
  mkdirSync(join(world.disk.dir, "r2", "data", "quarantine", id), { recursive: true });
  const { doubled, left } = await lookForLeftovers(fleet);
  expect(doubled).toEqual([`cell ${id} lies on r2, and is r1's`]);
  expect(left).toContain(`.gone-${id} lies in the missions root of r1`);
  expect(left).toContain(`${id} lies in quarantine of r2`);
  expect(left).not.toContain(`cell ${id} (idle): it has no directory`);
});

it("hears from whoever begins to work in a cell while another one does, and from nobody else", async () => {
  const dir = mkdtempSync(join(tmpdir(), "storm agents-"));
  for (const [name, script] of Object.entries(agentScripts(dir))) {
    writeFileSync(join(dir, name), `#!/bin/sh\n${script}`);
    chmodSync(join(dir, name), 0o755);
  }
  execFileSync("git", ["init", "--quiet"], { cwd: dir });
  const ident = {
    GIT_AUTHOR_NAME: "a",
    GIT_AUTHOR_EMAIL: "a@b",
    GIT_COMMITTER_NAME: "a",
    GIT_COMMITTER_EMAIL: "a@b",
  };
  const env = {
    ...process.env,
    ...ident,
    LAZARUS_AGENT: "quick",
    LAZARUS_TURN: "1",
    LAZARUS_ROLE: "executor",
  };
  const work = (cell: string) =>
    promisify(execFile)(join(dir, "quick"), { cwd: dir, env: { ...env, LAZARUS_CELL: cell } });
  const together = () => readFileSync(join(dir, TRACES.together), "utf8");
  await work("one");
  await work("one");
  expect(together()).toBe("");
  const other = spawn(join(dir, "stay"), {
    cwd: dir,
    env: { ...env, LAZARUS_CELL: "two" },
    stdio: "ignore",
    detached: true,
  });
  await until("it is at work", () => existsSync(join(dir, "at-work-two")));
  await work("two");
  process.kill(-Number(other.pid), "SIGKILL");
  expect(together()).toBe("two quick in turn 1 beside quick in turn 1\n");
  rmSync(dir, { recursive: true, maxRetries: 10 });
});
