import { join } from "node:path";
import { LazarusError } from "../../errors.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { Outcome, RunnerJob } from "../../protocol/runner-port.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import type { Parts } from "../context.ts";
import { whatIs } from "../disk/directory.ts";
import { copyKeptBundle } from "../disk/kept-bundle.ts";
import { pushTip } from "../git/push.ts";
import { note } from "../journal.ts";

export async function push(parts: Parts, job: RunnerJob<"push">, signal: AbortSignal): Promise<Outcome> {
  const { cellId, run, repository, branch, tip, lease, theirs } = job.payload;
  let source: Promise<string> | null = null;
  const deps = {
    ...parts,
    askFrom: parts.gitHome,
    source: () => {
      source ??= openQuarantine(parts, { cellId, repository, tip });
      return source;
    },
  };
  const plan = { repository, url: parts.mirrors.cloneUrl(repository), branch, tip, lease, theirs };
  const end = await pushTip(deps, plan, signal);
  if (end.kind === "refused") {
    await note(parts, cellId, { what: "push refused", run, why: end.why });
    return { reports: [reportOf("push-refused", { cellId, run, why: end.why }, job.key)] };
  }
  await parts.quarantine.remove(cellId);
  await note(parts, cellId, { what: "pushed", run, branch: end.branch, tip });
  const payload = { cellId, run, branch: end.branch, tip, divertedFrom: end.divertedFrom };
  return { reports: [reportOf("pushed", payload, job.key)] };
}

/**
 * The quarantine repository that holds a tip; made again from the cell's own copy of the bundle, and checked
 * again, where it is gone.
 */
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
