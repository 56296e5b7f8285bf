import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { tryGit } from "../../fakes/forge/git.ts";
import { livingOf } from "../living.ts";
import { type Host, missionOf } from "./hosts.ts";
import { namesIn } from "./obituary.ts";
import { type CellRow, type JobRow, peek } from "./peek.ts";
import { REPOSITORIES, type World } from "./world.ts";

/** What the end of a storm shows that must not be: on the forge, on disk, among processes, in the job log. */
export interface Leftovers {
  readonly doubled: string[];
  readonly left: string[];
}

/**
 * Looks at everything a kill could have doubled, halved or left behind, besides answers. Lazarus must be at
 * rest.
 */
export async function lookForLeftovers(world: World): Promise<Leftovers> {
  const cells = peek(world.dataDir, (ask) => ask<CellRow>("SELECT * FROM cells ORDER BY seq"));
  if (cells === null) return { doubled: [], left: ["the registry cannot be read"] };
  const found: Leftovers = { doubled: [], left: [] };
  await cardsAndDrafts(world, cells, found);
  for (const cell of cells) {
    found.left.push(...directoryOf(world, cell).map((what) => `cell ${cell.id} (${cell.state}): ${what}`));
    for (const pid of livingOf(cell.id)) found.left.push(`cell ${cell.id}: process ${pid} lives`);
    if (["active", "closing"].includes(cell.state)) found.left.push(`cell ${cell.id} is still ${cell.state}`);
  }
  for (const host of world.hosts) {
    strangers(host, cells, found);
    await borrowed(world, { host, cells }, found);
  }
  deadJobs(world, cells, found);
  startedTwice(world, found);
  return found;
}

/** One card for each cell, one pull request for each branch of a cell. */
async function cardsAndDrafts(world: World, cells: readonly CellRow[], found: Leftovers): Promise<void> {
  const cards = new Map<string, number>();
  for (const { repo, number } of new Map(
    cells.map((one) => [`${one.full_name}#${one.number}`, { repo: one.full_name, number: one.number }]),
  ).values()) {
    for (const { author, body } of await world.server.comments(repo, number)) {
      const id =
        author === world.bot.login ? /^<!-- lazarus:card:([0-9a-f-]{36}) -->/.exec(body)?.[1] : undefined;
      if (id !== undefined) cards.set(id, (cards.get(id) ?? 0) + 1);
    }
  }
  const drafts = new Map<string, number>();
  for (const repo of REPOSITORIES) {
    for (let page = 1; ; page++) {
      const path = `/repos/${repo}/pulls?state=all&limit=50&page=${page}`;
      const pulls = (await world.server.api(world.server.admin, "GET", path)).json as {
        head: { ref: string };
      }[];
      for (const pull of pulls)
        drafts.set(`${repo} ${pull.head.ref}`, (drafts.get(`${repo} ${pull.head.ref}`) ?? 0) + 1);
      if (pulls.length < 50) break;
    }
  }
  const lives = peek(world.dataDir, (ask) =>
    ask<{ cell: string; n: number }>(
      `SELECT cell, count(*) AS n FROM history WHERE "from" = 'archived' AND "to" = 'active' GROUP BY cell`,
    ),
  );
  const revived = new Map((lives ?? []).map(({ cell, n }) => [cell, n]));
  for (const cell of cells) {
    const shown = cards.get(cell.id) ?? 0;
    if (shown > 1) found.doubled.push(`cell ${cell.id} has ${shown} cards`);
    if (shown === 0) found.left.push(`cell ${cell.id} (${cell.state}) has no card`);
    if (cell.delivery !== "draft") continue;
    const opened = drafts.get(`${cell.full_name} ${cell.published_branch ?? cell.branch}`) ?? 0;
    // A draft that was merged or closed is followed by another where its cell was revived.
    if (opened > 1 + (revived.get(cell.id) ?? 0))
      found.doubled.push(`cell ${cell.id} has ${opened} pull requests`);
    const wants = cell.published_tip !== null && cell.state !== "destroyed";
    if (wants && opened === 0)
      found.left.push(`cell ${cell.id} (${cell.state}) was published and has no pull request`);
  }
}

/** What a cell's directory shows that differs from the registry. */
function directoryOf(world: World, cell: CellRow): string[] {
  const dir = missionOf(world, cell);
  const isThere = existsSync(dir);
  if (cell.state === "destroyed") return isThere ? ["its directory is still there"] : [];
  if (cell.state === "archived" && cell.sealed_at === null)
    return isThere ? ["it was never made, and has a directory"] : [];
  if (!isThere) return cell.state === "proposed" ? [] : ["it has no directory"];
  const faults: string[] = [];
  const mission = readObject(join(dir, "meta", "mission.json"));
  if (mission?.status !== cell.state) faults.push(`its mission.json says ${String(mission?.status)}`);
  if (mission?.mission_id !== cell.id) faults.push("its mission.json names another mission");
  for (const path of ["config/cell.json", "state/heartbeat.json", "logs/daemon.log", "artifacts", "worktree"])
    if (!existsSync(join(dir, path))) faults.push(`${path} is missing`);
  return [...faults, ...archiveOf(dir, cell)];
}

function archiveOf(dir: string, cell: CellRow): string[] {
  const archive = join(dir, "archive");
  // The bundle of the last collect lies there before anything is sealed, and the seal itself once a cell was
  // brought back from it.
  if (cell.state !== "archived") return [];
  const names = namesIn(archive).filter((name) => name !== "collected.bundle");
  if (names.sort().join(" ") !== "branch.bundle cell.tar.gz entries.jsonl.gz manifest.json")
    return [`its archive holds ${names.join(" ")}`];
  const faults: string[] = [];
  const manifest = readObject(join(archive, "manifest.json")) as {
    files?: { name: string; bytes: number; sha256: string }[];
  } | null;
  for (const { name, bytes, sha256 } of manifest?.files ?? []) {
    const path = join(archive, name);
    if (!existsSync(path) || statSync(path).size !== bytes)
      faults.push(`${name} is not what its manifest says`);
    else if (createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256)
      faults.push(`${name} has another hash than its manifest says`);
  }
  if ((manifest?.files ?? []).length < 3) faults.push("its manifest names fewer than three files");
  for (const name of ["worktree", "home"])
    if (namesIn(join(dir, name)).length > 0) faults.push(`${name}/ was not emptied`);
  return faults;
}

/** What lies in a missions root or in quarantine and is none of its cells'. */
function strangers(host: Host, all: readonly CellRow[], found: Leftovers): void {
  const cells = all.filter((cell) => cell.runner === host.name);
  const known = new Set(cells.map((cell) => cell.id));
  const names = namesIn(host.missionsDir).filter((name) => !known.has(name));
  // One tree waits for each repository: none of half a cell, and none that an earlier process made.
  const isTree = (name: string) => name.startsWith(".new-") && !known.has(name.slice(5));
  const trees = new Set(names.filter(isTree).slice(0, new Set(cells.map((cell) => cell.repository)).size));
  for (const name of names.filter((one) => !trees.has(one))) {
    const owner = all.find((cell) => cell.id === name)?.runner;
    if (owner === undefined) found.left.push(`${name} lies in the missions root of ${host.name}`);
    else found.doubled.push(`cell ${name} lies on ${host.name}, and is ${owner}'s`);
  }
  const held = new Set(
    cells.filter((cell) => cell.state === "idle" && cell.harvest !== null).map((cell) => cell.id),
  );
  for (const name of namesIn(join(host.dataDir, "quarantine")))
    if (!held.has(name)) found.left.push(`${name} lies in quarantine of ${host.name}`);
}

/** A destroyed cell leaves no reference in the mirror, any other that was made keeps its own. */
async function borrowed(
  world: World,
  { host, cells }: { readonly host: Host; readonly cells: readonly CellRow[] },
  found: Leftovers,
): Promise<void> {
  for (const [repo, id] of world.repositoryIds) {
    const mirror = join(host.dataDir, "mirrors", `${id}.git`);
    if (!existsSync(mirror)) continue;
    const { stdout } = await tryGit(mirror, ["for-each-ref", "--format=%(refname)", "refs/lazarus/"]);
    const refs = new Set(
      stdout
        .toString()
        .split("\n")
        .map((line) => line.split("/")[2] ?? "")
        .filter((one) => one !== ""),
    );
    for (const cell of cells.filter((one) => one.full_name === repo && one.runner === host.name)) {
      const isMade = existsSync(missionOf(world, cell));
      if (isMade && !refs.has(cell.id))
        found.left.push(`cell ${cell.id} (${cell.state}) has no reference in the mirror of ${host.name}`);
      if (cell.state === "destroyed" && refs.has(cell.id))
        found.left.push(`destroyed cell ${cell.id} has a reference in the mirror of ${host.name}`);
    }
    if (readdirSync(mirror).includes("gc.pid"))
      found.left.push(`the mirror of ${repo} on ${host.name} is being collected`);
  }
}

/** Somebody was told of each job that was given up: whoever typed the command, or everybody on the card. */
function deadJobs(world: World, cells: readonly CellRow[], found: Leftovers): void {
  const dead = peek(world.dataDir, (ask) => ask<JobRow>("SELECT * FROM jobs WHERE state = 'dead'")) ?? [];
  const told = new Set(
    (
      peek(world.dataDir, (ask) =>
        ask<{ key: string }>(
          "SELECT json_extract(payload, '$.marker') AS key FROM jobs WHERE kind = 'comment'",
        ),
      ) ?? []
    ).map((one) => one.key),
  );
  for (const job of dead) {
    if (job.kind === "command" && told.has(`reply:${job.key}`)) continue;
    const payload = JSON.parse(job.payload) as { cellId?: string; cell?: { id: string } };
    const cell = cells.find((one) => one.id === (payload.cellId ?? payload.cell?.id));
    if ((cell?.stuck ?? cell?.not_started ?? null) !== null) continue;
    if (cell !== undefined && wasOvercome(world, job, cell.id)) continue;
    found.left.push(`job ${job.kind} is dead and nobody was told: ${job.error}`);
  }
}

/** It was told in its time, and the cell has gone on since. */
function wasOvercome(world: World, job: JobRow, cellId: string): boolean {
  const told = peek(world.dataDir, (ask) =>
    ask("SELECT 1 FROM history WHERE cell = ? AND instr(why, ?) > 0", cellId, job.error ?? "no error"),
  );
  if ((told ?? []).length > 0) return true;
  const later = peek(world.dataDir, (ask) =>
    ask(
      `SELECT 1 FROM jobs WHERE kind = ? AND state = 'done' AND rowid > (SELECT rowid FROM jobs WHERE id = ?)
       AND coalesce(json_extract(payload, '$.cell.id'), json_extract(payload, '$.cellId')) = ?`,
      job.kind,
      job.id,
      cellId,
    ),
  );
  return (later ?? []).length > 0;
}

/**
 * Each agent wrote its cell's name when it started: never more often than the cell has runs. One that ended
 * before anybody heard of its start may have written as well.
 */
function startedTwice(world: World, found: Leftovers): void {
  const file = join(world.lazarus.dir, "out", "ran");
  const starts = new Map<string, number>();
  for (const cell of existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [])
    starts.set(cell, (starts.get(cell) ?? 0) + 1);
  const runs = peek(world.dataDir, (ask) =>
    ask<{ cell: string; n: number }>(
      "SELECT cell, count(*) AS n FROM runs WHERE started_at IS NOT NULL OR state = 'ended' GROUP BY cell",
    ),
  );
  const known = new Map((runs ?? []).map((one) => [one.cell, one.n]));
  for (const [cell, n] of starts) {
    if (cell !== "" && n > (known.get(cell) ?? 0))
      found.doubled.push(`cell ${cell}: ${n} starts in ${known.get(cell) ?? 0} runs`);
  }
}

function readObject(path: string): Record<string, unknown> | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  } catch {
    return null;
  }
}
