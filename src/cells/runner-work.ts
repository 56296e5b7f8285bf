import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { LazarusError } from "../errors.ts";
import type { Finish, Handlers, Job, JobContext } from "../queue/queue.ts";
import type { RepositoryRef } from "../queue/shapes.ts";
import { note, whileBeating } from "./cell-notes.ts";
import { collect } from "./collect.ts";
import { pathsOf, whatIs } from "./directory.ts";
import { below, inDirectory } from "./inside.ts";
import { writeMission } from "./mission.ts";
import { pushTip } from "./publish.ts";
import { backendNamed, endAll, type Parts, parseHandle } from "./runner-parts.ts";
import { COLLECTED } from "./seal-bundle.ts";
import { type Confines, logNameOf, surroundingsOf } from "./surroundings.ts";
import { readLogEnd } from "./words.ts";

type WorkJobs = "collect" | "push" | "mark" | "tail";

const TAIL_BYTES = 64 * 1024;

/** What is done to a cell once no run lives in it. */
export function createWorkHandlers(parts: Parts): Required<Pick<Handlers, WorkJobs>> {
  return {
    collect: (job) => collectRun(parts, job),
    push: (job, context) => push(parts, job, context),
    mark: (job) => mark(parts, job),
    tail: (job) => tail(parts, job),
  };
}

async function collectRun(parts: Parts, job: Job<"collect">): Promise<Finish> {
  const { cellId, run, repository, user, agent: name, baseCommit } = job.payload;
  const handle = parseHandle(job.payload.handle);
  // An attempt that was killed with us may have left its child at work in there; nobody else would ever end it.
  if (job.attempt > 1) await endAll(parts, { cellId, run, user, handle });
  const agent = parts.config.agents.get(name);
  const confines: Confines = agent ?? unknownAgent(name);
  const paths = pathsOf(parts.cellDir(cellId));
  const cell = { id: cellId, paths, mirror: parts.mirrors.path(repository), user };
  const plan = {
    paths,
    backend: backendNamed(parts, handle?.backend ?? agent?.backend ?? "process"),
    surroundings: surroundingsOf(cell, confines, { role: "executor", path: parts.config.childPath }),
    agent: name,
    baseCommit,
    branch: job.payload.branch,
    run,
    log: logNameOf(name, run),
    // File times are those of the kernel's tick, which may be a little behind.
    since: handle === null ? 0 : handle.startedAt - 1_000,
    handle,
    endedAt: job.payload.endedAt ?? parts.clock.now(),
    isKnown: agent?.preset != null,
  };
  const deps = { ...parts, maxFileBytes: parts.config.publish.maxFileBytes };
  const harvest = await whileBeating(parts, cellId, "collecting", () => collect(deps, plan));
  await note(parts, cellId, {
    what: "collected",
    run,
    tip: harvest.tip,
    held_back: [...harvest.forbidden, ...harvest.protectedPaths, ...harvest.heldBack],
  });
  const payload = { cellId, run, harvest };
  return () =>
    parts.report({ kind: "collected", key: `${job.key}:collected`, lane: `cell:${cellId}`, payload });
}

/** An agent that left the configuration after its run: its work is taken out all the same. */
export function unknownAgent(name: string): Confines {
  const limits = { memoryBytes: null, processes: null, fileBytes: 2 * 1024 ** 3 };
  return { name, limits, network: "none", paths: [], image: null };
}

async function push(parts: Parts, job: Job<"push">, context: JobContext): Promise<Finish> {
  const { cellId, run, repository, branch, tip, lease } = job.payload;
  let source: Promise<string> | null = null;
  const deps = {
    ...parts,
    askFrom: parts.gitHome,
    source: () => {
      source ??= openQuarantine(parts, { cellId, repository, tip });
      return source;
    },
  };
  const plan = { repository, url: parts.mirrors.cloneUrl(repository), branch, tip, lease };
  const end = await pushTip(deps, plan, context.signal);
  if (end.kind === "refused") {
    await note(parts, cellId, { what: "push refused", run, why: end.why });
    const payload = { cellId, run, why: end.why };
    return () =>
      parts.report({ kind: "push-refused", key: `${job.key}:refused`, lane: `cell:${cellId}`, payload });
  }
  await parts.quarantine.remove(cellId);
  await note(parts, cellId, { what: "pushed", run, branch: end.branch, tip });
  const payload = { cellId, run, branch: end.branch, tip, divertedFrom: end.divertedFrom };
  return () => parts.report({ kind: "pushed", key: `${job.key}:pushed`, lane: `cell:${cellId}`, payload });
}

/** The quarantine repository that holds a tip; made again from the cell's own copy of the bundle, and checked again, where it is gone. */
async function openQuarantine(
  parts: Parts,
  want: { readonly cellId: string; readonly repository: RepositoryRef; readonly tip: string },
): Promise<string> {
  const { cellId, repository, tip } = want;
  const path = join(parts.quarantine.dir(cellId), "repository.git");
  const ask = (dir: string, args: readonly string[]) =>
    parts.git({ dir, args, doing: `looking for what cell ${cellId.slice(0, 8)} made`, tolerant: true });
  if ((await whatIs(path)) === "directory") {
    const found = await ask(path, ["rev-parse", "--verify", "--quiet", "refs/lazarus/tip"]);
    if (found.stdout.trim() === tip) return path;
  }
  const mirror = parts.mirrors.path(repository);
  const bundle = await parts.quarantine.prepare(cellId);
  const lost = (why: string) =>
    new LazarusError(
      "git",
      `pushing what cell ${cellId.slice(0, 8)} made: ${why}; run it again to collect it anew`,
    );
  if (!(await copyKeptBundle(parts.cellDir(cellId), bundle))) throw lost("its bundle is gone");
  const base = (
    await ask(mirror, ["rev-parse", "--verify", "--quiet", `refs/lazarus/${cellId}/base`])
  ).stdout.trim();
  const checked = await parts.quarantine.admit({ cellId, mirror, baseCommit: base });
  if (checked.tip === null) throw lost(checked.why);
  if (checked.tip !== tip)
    throw lost(`its bundle holds ${checked.tip.slice(0, 10)} and not ${tip.slice(0, 10)}`);
  return checked.repository;
}

async function copyKeptBundle(cellDir: string, to: string): Promise<boolean> {
  const copied = await inDirectory(cellDir, ["archive"], async (archive) => {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    // Once it was sealed, or where an earlier version kept it, it has the seal's name.
    const from =
      (await open(below(archive, COLLECTED), flags).catch(() => null)) ??
      (await open(below(archive, "branch.bundle"), flags).catch(() => null));
    if (from === null) return false;
    try {
      if (!(await from.stat()).isFile()) return false;
      const target = await open(to, "wx", 0o600);
      await pipeline(from.createReadStream({ autoClose: false }), target.createWriteStream());
      return true;
    } finally {
      await from.close();
    }
  });
  return copied === true;
}

async function mark(parts: Parts, job: Job<"mark">): Promise<undefined> {
  const { cellId, mission } = job.payload;
  if ((await whatIs(parts.cellDir(cellId))) === "directory") await writeMission(parts, cellId, mission);
  return undefined;
}

async function tail(parts: Parts, job: Job<"tail">): Promise<Finish> {
  const { cellId, run, agent, lines, asker } = job.payload;
  const how = { maxBytes: TAIL_BYTES, redact: parts.redact };
  const read = await readLogEnd(parts.cellDir(cellId), logNameOf(agent, run), how);
  const all = read.text.replace(/\n$/, "").split("\n");
  const text = all.slice(-Math.max(1, lines)).join("\n");
  const payload = { cellId, run, asker, text, truncated: read.cut || all.length > lines };
  return () => parts.report({ kind: "tailed", key: `${job.key}:tailed`, lane: `cell:${cellId}`, payload });
}
