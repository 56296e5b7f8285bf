import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import { workLimits } from "./confined.ts";
import { copyKeptBundle } from "./disk/kept-bundle.ts";
import { createGit } from "./git/git.ts";
import { createQuarantine } from "./git/quarantine.ts";
import { type ShownDiff, showDiff } from "./git/show-diff.ts";

export interface UnpublishedWork {
  readonly cellId: string;
  readonly repository: RepositoryRef;
  readonly baseCommit: string;
  /** What was published last; null: nothing. */
  readonly publishedTip: string | null;
  readonly maxBytes: number;
}

type Settings = Pick<Config, "dataDir" | "missionsDir" | "forge" | "publish" | "limits" | "childPath">;

/**
 * The diff of what a cell made and nobody published, from the bundle that was taken out of it: in a
 * repository of its own below `<data>/diffs`, beside whatever a server does meanwhile, and removed again. The
 * cell's own tree is never asked.
 * @throws LazarusError `not-found` where there is no such work; `git` where it cannot be read.
 */
export async function showUnpublished(
  config: Settings,
  redact: (text: string) => string,
  work: UnpublishedWork,
): Promise<ShownDiff> {
  const { dataDir, childPath } = config;
  const { url, caFile } = config.forge;
  // Nothing is asked of the forge: git gets no token.
  const remote = { url, token: "", caFile, proxyEnv: {} };
  const limits = workLimits(config.limits);
  const git = createGit({ home: join(dataDir, "git-home"), path: childPath, remote, redact, limits });
  const quarantine = createQuarantine({
    dir: join(dataDir, "diffs", String(process.pid)),
    git,
    bigFileBytes: config.publish.maxFileBytes,
    skipCi: false,
  });
  const { cellId, baseCommit } = work;
  try {
    const bundle = await quarantine.prepare(cellId);
    if (!(await copyKeptBundle(join(config.missionsDir, cellId), bundle)))
      throw new LazarusError("not-found", `cell ${cellId.slice(0, 8)} keeps no work that could be shown`);
    const mirror = join(dataDir, "mirrors", `${work.repository.id}.git`);
    const checked = await quarantine.admit({ cellId, mirror, baseCommit });
    if (checked.tip === null)
      throw new LazarusError("git", `showing what cell ${cellId.slice(0, 8)} made: ${checked.why}`);
    const { repository, tip } = checked;
    const isKnown = async (commit: string) => {
      const args = ["merge-base", "--is-ancestor", commit, tip];
      return (await git({ dir: repository, args, doing: "comparing tips", tolerant: true })).code === 0;
    };
    const { publishedTip } = work;
    const base = publishedTip !== null && (await isKnown(publishedTip)) ? publishedTip : baseCommit;
    return await showDiff({ git, redact }, { repository, base, tip }, work.maxBytes);
  } finally {
    await quarantine.remove(cellId);
  }
}
