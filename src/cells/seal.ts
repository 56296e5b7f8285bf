import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { LazarusError, systemCode } from "../errors.ts";
import { directoryError } from "./directory.ts";
import type { Git } from "./git.ts";
import { below, inDirectory, openDirectory, writeWhole } from "./inside.ts";

export interface SealPlan {
  readonly cellDir: string;
  /** When, RFC 3339. */
  readonly at: string;
  readonly mirror: string;
  readonly baseCommit: string;
  /** PATH for tar and gzip. */
  readonly path: string;
  readonly signal: AbortSignal;
}

const PARTS = ["worktree", "home", "artifacts", "logs", "meta", "state"];

/**
 * Seals a cell into `archive/`: `cell.tar.gz`, `branch.bundle` and `manifest.json` with the hashes of both, all on disk when it returns. Links
 * are stored as links, other file systems left out. A cell that was sealed and emptied is left as it is. Answers the bytes of the archive.
 * @throws LazarusError `disk-full`, `directory`, `git`.
 */
export async function sealCell(git: Git, plan: SealPlan): Promise<number> {
  try {
    const cell = await openDirectory(plan.cellDir);
    try {
      await mkdir(below(cell, "archive"), { mode: 0o700 }).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error;
      });
      const archive = await openDirectory(plan.cellDir, "archive");
      try {
        return await fillArchive(git, plan, { cell, archive });
      } finally {
        await archive.close();
      }
    } finally {
      await cell.close();
    }
  } catch (error) {
    throw directoryError(error, `sealing ${plan.cellDir}`);
  }
}

async function fillArchive(
  git: Git,
  plan: SealPlan,
  at: { cell: FileHandle; archive: FileHandle },
): Promise<number> {
  // Sealed and emptied already: what is there now must not take the place of what was.
  const done = await stat(below(at.archive, "manifest.json")).catch(() => null);
  const sealed = await stat(below(at.archive, "cell.tar.gz")).catch(() => null);
  const rest = await inDirectory(plan.cellDir, ["worktree"], (directory) =>
    readdir(`/proc/self/fd/${directory.fd}`),
  );
  if (done !== null && sealed !== null && rest?.length === 0) return sealed.size;
  await packTree(plan, at);
  await ensureBundle(git, plan, at.archive);
  const files = [];
  for (const name of ["cell.tar.gz", "branch.bundle"]) files.push(await fingerprint(at.archive, name));
  await writeWhole(
    at.archive,
    "manifest.json",
    `${JSON.stringify({ created_at: plan.at, files }, null, 2)}\n`,
  );
  await at.cell.sync();
  return files[0]?.bytes ?? 0;
}

async function packTree(
  plan: SealPlan,
  { cell, archive }: { cell: FileHandle; archive: FileHandle },
): Promise<void> {
  const fresh = below(archive, "cell.tar.gz.tmp");
  const present = new Set(await readdir(`/proc/self/fd/${cell.fd}`));
  const parts = PARTS.filter((part) => present.has(part));
  for (let attempt = 1; ; attempt++) {
    await rm(fresh, { force: true });
    const file = await open(
      fresh,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      const end = await tar(plan, parts, file.fd);
      if (end.code === 2 && attempt === 1) {
        // Directories and files that an agent closed to everybody, itself included: they are ours to open.
        for (const part of parts) await inDirectory(plan.cellDir, [part], openUp);
        continue;
      }
      // 1: something changed while it was read; nothing lives here any more, so that was our own log.
      if (end.code !== 0 && end.code !== 1) throw tarError(plan, end);
      await file.sync();
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    await rename(fresh, below(archive, "cell.tar.gz"));
    await archive.sync();
    return;
  }
}

interface TarEnd {
  readonly code: number | null;
  readonly stderr: string;
}

function tarError(plan: SealPlan, end: TarEnd): LazarusError {
  const doing = `sealing ${plan.cellDir}`;
  if (/No space left on device/.test(end.stderr))
    return new LazarusError("disk-full", `${doing}: no space left on the device`, { retryable: true });
  const line =
    end.stderr
      .trim()
      .split("\n")
      .find((each) => !each.includes("Exiting with failure")) ?? "";
  return new LazarusError("directory", `${doing}: tar exited ${end.code}: ${line.slice(0, 300)}`, {
    retryable: true,
  });
}

function tar(plan: SealPlan, parts: readonly string[], output: number): Promise<TarEnd> {
  const words = [
    "--create",
    "--gzip",
    "--one-file-system",
    "--sparse",
    "--warning=no-file-ignored",
    "--file=-",
    "--",
    ...parts,
  ];
  return new Promise((resolve, reject) => {
    const child = spawn("tar", words, {
      cwd: plan.cellDir,
      env: { PATH: plan.path, LC_ALL: "C" },
      stdio: ["ignore", output, "pipe"],
      signal: plan.signal,
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, 20_000);
    });
    child.once("error", (error) => {
      const why = systemCode(error) === "ENOENT" ? "there is no tar on the PATH" : error.message;
      reject(
        plan.signal.aborted
          ? plan.signal.reason
          : new LazarusError("directory", `sealing ${plan.cellDir}: ${why}`),
      );
    });
    child.once("close", (code) => resolve({ code, stderr }));
  });
}

/** Makes everything below an open directory readable by its owner, through no link. */
async function openUp(directory: FileHandle): Promise<void> {
  for (const entry of await readdir(`/proc/self/fd/${directory.fd}`, { withFileTypes: true })) {
    if (!entry.isDirectory() && !entry.isFile()) continue;
    const path = below(directory, entry.name);
    const handle = await open(path, 0o10000000 | constants.O_NOFOLLOW).catch(() => null);
    if (handle === null) continue;
    try {
      const { mode } = await handle.stat();
      const needed = entry.isDirectory() ? 0o700 : 0o400;
      if ((mode & needed) !== needed) await chmod(`/proc/self/fd/${handle.fd}`, (mode & 0o7777) | needed);
      if (entry.isDirectory()) {
        const child = await open(`/proc/self/fd/${handle.fd}/.`, constants.O_RDONLY | constants.O_DIRECTORY);
        await openUp(child).finally(() => child.close());
      }
    } finally {
      await handle.close();
    }
  }
}

/** The bundle of the last collect, else one of just the commit the cell started from. */
async function ensureBundle(git: Git, plan: SealPlan, archive: FileHandle): Promise<void> {
  const found = await stat(below(archive, "branch.bundle")).catch(() => null);
  if (found?.isFile()) return;
  const fresh = `/proc/${process.pid}/fd/${archive.fd}/branch.bundle.tmp`;
  await rm(fresh, { force: true });
  const doing = `sealing ${plan.cellDir}`;
  const cellId = plan.cellDir.split("/").at(-1) ?? "";
  await git({
    dir: plan.mirror,
    args: ["bundle", "create", "--quiet", fresh, "-1", `refs/lazarus/${cellId}/base`],
    doing,
    signal: plan.signal,
  });
  await rename(fresh, below(archive, "branch.bundle"));
}

async function fingerprint(
  archive: FileHandle,
  name: string,
): Promise<{ name: string; bytes: number; sha256: string }> {
  const file = await open(below(archive, name), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    await file.sync();
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    return { name, bytes, sha256: hash.digest("hex") };
  } finally {
    await file.close();
  }
}
