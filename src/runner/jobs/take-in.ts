import { explain, isRetryable, LazarusError } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { PeoplePush } from "../../protocol/shapes.ts";
import { parseTakeIn, TAKE_IN_SCRIPT } from "../collect/take-in-script.ts";
import { surroundingsOf, unknownAgent } from "../confinement.ts";
import { backendNamed, type Parts } from "../context.ts";
import { pathsOf, whatIs } from "../disk/directory.ts";
import { openWork } from "../disk/guest-room.ts";
import { endAll } from "../end-run.ts";
import { peoplesCommits } from "../git/peoples-commits.ts";
import { remoteTips } from "../git/push.ts";
import { note } from "../journal.ts";

const CHILD_MS = 5 * 60_000;

/**
 * Takes what people pushed to a cell's branch since it was published into its tree, before a run starts
 * there: a fast-forward by a child with the agent's rights, or nothing. What keeps it from that is said to
 * the run and to people; it is no reason not to start.
 * @throws LazarusError retryable: `git` where the forge does not answer.
 */
export async function takeIn(parts: Parts, job: RunnerJob<"take-in">, signal: AbortSignal): Promise<Outcome> {
  const { cellId, run } = job.payload;
  let people: PeoplePush | null = null;
  try {
    people = await look(parts, job, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isRetryable(error)) throw error;
    await note(parts, cellId, { what: "not looked for pushes", run, why: parts.redact(explain(error)) });
  }
  if (people !== null) {
    const { branch, tip, count, isTaken, why } = people;
    await note(parts, cellId, {
      what: "people pushed",
      run,
      branch,
      tip,
      commits: count,
      taken: isTaken,
      why,
    });
  }
  return { reports: [reportOf("taken-in", { cellId, run, people }, job.key)] };
}

/** Null: nobody pushed anything that is not known. */
async function look(
  parts: Parts,
  job: RunnerJob<"take-in">,
  signal: AbortSignal,
): Promise<PeoplePush | null> {
  const { payload } = job;
  const { repository, branch, tip: known, cellId, user } = payload;
  const url = parts.mirrors.cloneUrl(repository);
  const asked = { ...parts, askFrom: parts.gitHome };
  const seen = await remoteTips(asked, { repository, url, branch }, signal);
  if (!(seen instanceof Map)) throw new LazarusError("git", seen.kind === "refused" ? seen.why : branch);
  const tip = seen.get(branch);
  if (tip === undefined || tip === known) return null;
  const want = { commit: tip, ref: `refs/heads/${branch}`, group: user?.groups[0] ?? null };
  const mirror = await parts.mirrors.provide(repository, want, signal).catch((error: unknown) => {
    if (isRetryable(error)) throw error;
    // It moved again between two looks.
    throw new LazarusError("git", explain(error), { retryable: true, cause: error });
  });
  await parts.mirrors.keepTheirs(repository, cellId, tip);
  const commits = await peoplesCommits(parts.git, { mirror, known, tip, base: payload.baseCommit });
  if (commits === null) return null;
  const shown = commits.shown.map((one) => ({
    ...one,
    subject: parts.redact(one.subject),
    author: parts.redact(one.author),
  }));
  const what = { branch, from: known, tip, count: commits.count, commits: shown };
  const end = await moveForward(parts, job, tip);
  return { ...what, isTaken: end === null, why: end === null ? null : parts.redact(end) };
}

/** Null: the tree holds it; else what is in the way. */
async function moveForward(parts: Parts, job: RunnerJob<"take-in">, tip: string): Promise<string | null> {
  const { cellId, run, user, repository, agent: name } = job.payload;
  // With our own rights nothing is ever run in a tree that an agent could write.
  if (user === null && parts.asRoot) return "the cell has no user of its own";
  const paths = pathsOf(parts.cellDir(cellId));
  if ((await whatIs(paths.worktree)) !== "directory") return "the worktree is gone, or a link";
  // An attempt that was killed with us may have left its child at work in there.
  if (job.attempt > 1) await endAll(parts, { cellId, run, user, handle: null });
  if (user !== null) await openWork(paths, user);
  const agent = parts.config.agents.get(name);
  const cell = { id: cellId, paths, mirror: parts.mirrors.path(repository), user };
  const scratch = `${cellId}.people`;
  const stdoutPath = await parts.quarantine.prepare(scratch);
  try {
    const end = await backendNamed(parts, agent?.backend ?? "process").runToEnd({
      ...surroundingsOf(cell, agent ?? unknownAgent(name), {
        role: "executor",
        path: parts.config.childPath,
      }),
      command: ["/bin/sh", "-c", TAKE_IN_SCRIPT, "lazarus-take-in", tip],
      stdoutPath,
      timeoutMs: CHILD_MS,
      stderrBytes: 64 * 1024,
    });
    const said = parseTakeIn(end.stderr);
    return WHY[said?.word ?? "unusable"](said?.text ?? (end.timedOut ? "it took too long" : ""));
  } finally {
    await parts.quarantine.remove(scratch);
  }
}

const WHY: Readonly<
  Record<NonNullable<ReturnType<typeof parseTakeIn>>["word"], (text: string) => string | null>
> = {
  there: () => null,
  taken: () => null,
  diverged: () => "the cell has commits that are not in it",
  unfinished: () => "a merge or rebase is under way in the cell",
  blocked: (text) => `something uncommitted is in the way${text === "" ? "" : ` (${text})`}`,
  unusable: (text) => `the cell's repository cannot be used${text === "" ? "" : ` (${text})`}`,
};
