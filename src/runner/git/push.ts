import { LazarusError } from "../../errors.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Git, GitEnd } from "./git.ts";
import { httpRefusal, isUnreachable, movedError, refusalSentence, usefulLine } from "./refusal.ts";

export interface PushPlan {
  readonly repository: RepositoryRef;
  readonly url: string;
  readonly branch: string;
  readonly tip: string;
  /** The tip the branch has on the forge as far as we know; null: it is not there. */
  readonly lease: string | null;
  /** What people pushed last: a tip without it is never pushed over it. */
  readonly theirs: string | null;
}

export type PushEnd =
  | { readonly kind: "pushed"; readonly branch: string; readonly divertedFrom: string | null }
  | { readonly kind: "refused"; readonly why: string };

export interface PushDeps {
  readonly git: Git;
  readonly redact: (text: string) => string;
  /** The quarantine repository that holds the tip, made again if need be. */
  readonly source: () => Promise<string>;
  /** An existing directory of ours to ask the forge from. */
  readonly askFrom: string;
}

const MAX_DETOURS = 20;

/**
 * Pushes a tip to its branch. A tip that already is there is done; where somebody else pushed meanwhile
 * nothing is overwritten: the tip goes to `<branch>-2`, `-3` …. A refusal by the forge is an answer, not an
 * error.
 * @throws LazarusError `forge-unreachable`, retryable, where the forge could not be reached; `git` for
 * anything else.
 */
export async function pushTip(deps: PushDeps, plan: PushPlan, signal: AbortSignal): Promise<PushEnd> {
  for (let round = 1; round <= 3; round++) {
    const seen = await remoteTips(deps, plan, signal);
    if (!(seen instanceof Map)) return seen;
    const target = await chooseTarget(deps, plan, seen);
    if (target.there) return pushed(plan, target.branch);
    const end = await pushOnce(deps, { plan, branch: target.branch, lease: target.lease }, signal);
    if (end === "pushed") return pushed(plan, target.branch);
    if (end !== "stale") return end;
  }
  throw new LazarusError("git", `pushing ${plan.branch} to ${plan.repository.fullName}: it keeps changing`, {
    retryable: true,
  });
}

function pushed(plan: PushPlan, branch: string): PushEnd {
  return { kind: "pushed", branch, divertedFrom: branch === plan.branch ? null : plan.branch };
}

/** What the forge has of a branch and its detours, by name; or its refusal. */
export async function remoteTips(
  deps: Pick<PushDeps, "git" | "redact" | "askFrom">,
  plan: Pick<PushPlan, "repository" | "url" | "branch">,
  signal: AbortSignal,
): Promise<Map<string, string> | PushEnd> {
  const doing = `asking ${plan.repository.fullName} for ${plan.branch}`;
  const args = ["ls-remote", "--refs", plan.url, `refs/heads/${plan.branch}`, `refs/heads/${plan.branch}-*`];
  const end = await deps.git({ dir: deps.askFrom, args, doing, remote: true, tolerant: true, signal });
  const refused = refusalOf(plan, end);
  if (refused !== null) return refused;
  if (end.code !== 0) throw unreachable(deps, doing, end);
  const tips = new Map<string, string>();
  for (const line of end.stdout.split("\n")) {
    const match = /^([0-9a-f]{40,64})\trefs\/heads\/(.+)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) tips.set(match[2], match[1]);
  }
  return tips;
}

/**
 * Deletes a branch whose tip still is `tip`. Answers false, and leaves it, where somebody else pushed, the
 * forge refuses, or it is gone.
 * @throws LazarusError `forge-unreachable`, retryable, where the forge could not be reached; `git` for
 * anything else.
 */
export async function deleteBranch(
  deps: Pick<PushDeps, "git" | "redact" | "askFrom">,
  plan: Pick<PushPlan, "repository" | "url" | "branch" | "tip">,
  signal: AbortSignal,
): Promise<boolean> {
  const ref = `refs/heads/${plan.branch}`;
  const doing = `deleting ${plan.branch} of ${plan.repository.fullName}`;
  const args = [
    "push",
    "--porcelain",
    "--no-verify",
    `--force-with-lease=${ref}:${plan.tip}`,
    plan.url,
    `:${ref}`,
  ];
  // A push needs a repository to stand in, though a deletion sends nothing of it.
  const end = await deps.git({ dir: deps.askFrom, args, doing, remote: true, tolerant: true, signal });
  if (end.code === 0) return true;
  if (/^!\t/m.test(end.stdout) || refusalOf(plan, end) !== null) return false;
  throw unreachable(deps, doing, end);
}

interface PushTarget {
  readonly branch: string;
  readonly there: boolean;
  readonly lease: string | null;
}

/**
 * The first of `branch`, `branch-2`, … that has our tip already, is free, or may be moved on without losing
 * anything.
 */
async function chooseTarget(deps: PushDeps, plan: PushPlan, tips: Map<string, string>): Promise<PushTarget> {
  const names = Array.from({ length: MAX_DETOURS }, (_, index) =>
    index === 0 ? plan.branch : `${plan.branch}-${index + 1}`,
  );
  const already = names.find((name) => tips.get(name) === plan.tip);
  if (already !== undefined) return { branch: already, there: true, lease: plan.tip };
  const keepsTheirs = plan.theirs === null || (await isContained(deps, plan.theirs, plan.tip));
  for (const branch of names) {
    const tip = tips.get(branch) ?? null;
    const isOurs = tip === null || (branch === plan.branch && tip === plan.lease && keepsTheirs);
    if (isOurs) return { branch, there: false, lease: tip };
    // Moved back behind what was there: people took commits out, which must not come with the next push.
    const isForward = plan.lease === null || (await isContained(deps, plan.lease, tip));
    if (isForward && (await isContained(deps, tip, plan.tip))) return { branch, there: false, lease: tip };
  }
  throw new LazarusError(
    "git",
    `pushing ${plan.branch} to ${plan.repository.fullName}: ${MAX_DETOURS} branches of that name are taken`,
  );
}

async function isContained(deps: PushDeps, tip: string, inTip: string): Promise<boolean> {
  const args = ["merge-base", "--is-ancestor", tip, inTip];
  return (
    (await deps.git({ dir: await deps.source(), args, doing: "comparing tips", tolerant: true })).code === 0
  );
}

async function pushOnce(
  deps: PushDeps,
  { plan, branch, lease }: { plan: PushPlan; branch: string; lease: string | null },
  signal: AbortSignal,
): Promise<"pushed" | "stale" | PushEnd> {
  const doing = `pushing ${branch} to ${plan.repository.fullName}`;
  const ref = `refs/heads/${branch}`;
  const end = await deps.git({
    dir: await deps.source(),
    args: [
      "push",
      "--porcelain",
      "--progress",
      "--no-verify",
      `--force-with-lease=${ref}:${lease ?? ""}`,
      plan.url,
      `${plan.tip}:${ref}`,
    ],
    doing,
    remote: true,
    tolerant: true,
    signal,
  });
  if (end.code === 0) return "pushed";
  const line = end.stdout.split("\n").find((each) => each.startsWith("!\t")) ?? "";
  if (
    /\[rejected\]|\[remote rejected\] \((failed to update ref|cannot lock ref|incorrect old value)/.test(line)
  )
    return "stale";
  if (line.includes("[remote rejected]")) {
    return {
      kind: "refused",
      why: deps.redact(serverWords(end.stderr) ?? line.replace(/^.*\[remote rejected\] /, "")),
    };
  }
  const refused = refusalOf(plan, end);
  if (refused !== null) return refused;
  throw unreachable(deps, doing, end);
}

/** What the server said in its own words; Gitea says why it refused only here. */
function serverWords(stderr: string): string | null {
  const lines = stderr
    .split(/[\r\n]+/)
    .filter((line) => line.startsWith("remote: "))
    // Newer servers write the reason between empty lines of `error:`, so that it stands out.
    .map((line) =>
      line
        .slice(8)
        .replace(/^error:(?! hook)/, "")
        .trim(),
    );
  const telling = lines.filter(
    (line) =>
      line !== "" && !/\d+% \(|^(Counting|Compressing|Resolving|Processing|Processed|error: hook)/.test(line),
  );
  return telling.length === 0 ? null : telling.join(" ").slice(0, 500);
}

function refusalOf(plan: Pick<PushPlan, "repository">, end: GitEnd): PushEnd | null {
  const refusal = end.code === 0 ? null : httpRefusal(end.stderr);
  if (refusal === "moved") throw movedError(`asking for ${plan.repository.fullName}`);
  return refusal === null
    ? null
    : { kind: "refused", why: `${plan.repository.fullName}: ${refusalSentence(refusal)}` };
}

function unreachable(deps: Pick<PushDeps, "redact">, doing: string, end: GitEnd): LazarusError {
  const code = isUnreachable(end.stderr) ? "forge-unreachable" : "git";
  return new LazarusError(code, `${doing}: git exited ${end.code}: ${deps.redact(usefulLine(end.stderr))}`, {
    retryable: true,
  });
}
