import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Backend, Surroundings } from "../../backends/backend.ts";
import { COLLECTED } from "../disk/directory.ts";
import { throwWhereFull } from "../disk/full-disk.ts";
import { below } from "../disk/safe-files.ts";
import type { Git } from "../git/git.ts";
import { SEAL_SCRIPT, whyNoBundle } from "./bundle-script.ts";
import { type FileFacts, freshName, type Manifest, openSealed } from "./manifest.ts";

export interface BundlePlan {
  readonly cellId: string;
  readonly baseCommit: string;
  readonly mirror: string;
  /** Where and as whom the cell's repository is asked; null: it must not be. */
  readonly child: { readonly backend: Backend; readonly surroundings: Surroundings } | null;
  /** Where the child's bundle is put: outside the cell; nothing lies there. */
  readonly scratchPath: string;
  /** Below which no run starts. */
  readonly freeBytes: number;
  readonly signal: AbortSignal;
}

const CHILD_MS = 5 * 60_000;

/**
 * Writes `branch.bundle.new`: everything the cell's repository holds beyond the base, asked for in the
 * isolation the agent had; where that comes to nothing, the bundle of its last run; where there is none, of
 * just the commit it started from.
 * @throws LazarusError `disk-full`, `directory`, `git`.
 */
export async function bundleCell(
  git: Git,
  archive: FileHandle,
  plan: BundlePlan,
): Promise<{ file: FileFacts; bundle: NonNullable<Manifest["bundle"]> }> {
  const why = await askChild(plan);
  if (why === null) {
    const made = await open(
      plan.scratchPath,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    return { file: await keep(archive, made), bundle: { of: "worktree", why: null } };
  }
  // Where nothing was sealed yet, an earlier version kept it under the seal's name.
  for (const name of [COLLECTED, "branch.bundle"]) {
    const last = await openSealed(archive, name);
    if (last !== null) return { file: await keep(archive, last), bundle: { of: "last run", why } };
  }
  await rm(plan.scratchPath, { force: true });
  await git({
    dir: plan.mirror,
    args: ["bundle", "create", "--quiet", plan.scratchPath, "-1", `refs/lazarus/${plan.cellId}/base`],
    doing: `sealing cell ${plan.cellId}`,
    signal: plan.signal,
  });
  return { file: await keep(archive, await open(plan.scratchPath, "r")), bundle: { of: "base", why } };
}

/** Null: the bundle lies at `scratchPath`; else why not. */
async function askChild({
  child,
  scratchPath,
  baseCommit,
  mirror,
  cellId,
  freeBytes,
}: BundlePlan): Promise<string | null> {
  if (child === null) return "its repository was not asked";
  const end = await child.backend.runToEnd({
    ...child.surroundings,
    command: ["/bin/sh", "-c", SEAL_SCRIPT, "lazarus-seal", baseCommit, mirror],
    stdoutPath: scratchPath,
    timeoutMs: CHILD_MS,
    stderrBytes: 64 * 1024,
  });
  const places = [dirname(scratchPath), child.surroundings.dirs.worktree];
  await throwWhereFull(end, { doing: `sealing cell ${cellId}`, places, freeBytes });
  const why = whyNoBundle(end.stderr);
  if (why !== null) return why;
  if (end.code === 0) return null;
  if (end.timedOut) return `git could not be asked (it took longer than ${CHILD_MS / 60_000} min)`;
  return `git could not be asked (${end.signal === null ? `exit ${end.code}` : `signal ${end.signal}`})`;
}

/** Copies a bundle into the next seal and closes it. */
async function keep(archive: FileHandle, from: FileHandle): Promise<FileFacts> {
  try {
    const path = below(archive, freshName("branch.bundle"));
    await rm(path, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const to = await open(path, flags, 0o600);
    try {
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const chunk of from.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
        hash.update(chunk);
        bytes += chunk.length;
        await to.writeFile(chunk);
      }
      await to.sync();
      return { name: "branch.bundle", bytes, sha256: hash.digest("hex") };
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}
