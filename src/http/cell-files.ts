import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { type FileHandle, open, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Cell } from "../cells/cell.ts";
import { secretsGiven } from "../cells/given-secrets.ts";
import { logNameOf } from "../cells/names.ts";
import type { Registry } from "../cells/registry/registry.ts";
import type { Config } from "../config/config.ts";
import type { Artifact, CellFiles, LogEnd } from "../dashboard/deps.ts";
import { entriesOf } from "../runner/disk/entries-of.ts";
import { readLogEnd } from "../runner/disk/log-tail.ts";
import { below, inDirectory, isAbsent } from "../runner/disk/safe-files.ts";
import { renderLog } from "../runner/events/render-log.ts";
import { openHeartbeatAccess } from "../runner/heartbeat-tokens.ts";
import { unknownSecrets, whatIsMissing } from "../runner/known-secrets.ts";
import { showUnpublished } from "../runner/unpublished.ts";

const MOST_KEPT = 20;
const MOST_ARTIFACTS = 1_000;
const MOST_LEVELS = 6;

/** What lies in cells' directories, for pages: read as if an agent had written it, secrets hidden. */
export function createCellFiles(deps: {
  readonly config: Config;
  readonly registry: Registry;
  redact(text: string): string;
}): CellFiles {
  const { config, registry, redact } = deps;
  const kept = new Map<string, { readonly stamp: string; readonly end: Promise<LogEnd> }>();
  const dirOf = (cell: Cell) => join(config.missionsDir, cell.id);
  const heartbeats = openHeartbeatAccess(config.dataDir, config.server.url);
  const given = (cell: Cell) =>
    unknownSecrets(secretsGiven(registry.runs(cell.id), config), { config, heartbeats });
  return {
    unhidden(cell) {
      const { missing } = given(cell);
      return missing.length === 0 ? null : whatIsMissing(missing);
    },
    async log(cell, { owner, n, isRaw, maxBytes }) {
      const name = logNameOf(owner, n);
      const key = JSON.stringify([cell.id, name, isRaw, maxBytes]);
      const stamp = await stampOf(join(dirOf(cell), "logs", name));
      const found = kept.get(key);
      if (found !== undefined && found.stamp === stamp) return found.end;
      const end = readLogEnd(dirOf(cell), name, { maxBytes, redact }).then(({ text, cut }) =>
        isRaw ? { text, cut } : { text: redact(renderLog(text, cut)), cut },
      );
      // All who look at one log share what was read of it.
      kept.delete(key);
      kept.set(key, { stamp, end });
      end.catch(() => kept.delete(key));
      const [oldest] = kept.keys();
      if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
      return end;
    },
    async diff({ id: cellId, repository, baseCommit, publishedTip }, maxBytes) {
      const work = { cellId, repository, baseCommit, publishedTip, maxBytes };
      const { text, isCut } = await showUnpublished(config, redact, work);
      return { text, cut: isCut };
    },
    async artifacts(cell) {
      const files: Artifact[] = [];
      await inDirectory(dirOf(cell), ["artifacts"], (directory) => list(directory, "", files));
      return files.sort((a, b) => a.path.localeCompare(b.path));
    },
    async artifact(cell, path, maxBytes) {
      const names = path.split("/");
      if (names.some((name) => name === "" || name === "." || name === ".." || name.includes("\0")))
        return null;
      const [name = "", ...parents] = [...names].reverse();
      return inDirectory(dirOf(cell), ["artifacts", ...parents.reverse()], (directory) =>
        read(directory, name, maxBytes, redact),
      );
    },
    async free() {
      // There is none before the first cell.
      const there = await statfs(config.missionsDir).catch((error: unknown) => {
        if (isAbsent(error)) return statfs(config.dataDir);
        throw error;
      });
      return there.bavail * there.bsize;
    },
  };
}

async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs } = await stat(path);
    return `${size}:${mtimeMs}`;
  } catch (error) {
    if (isAbsent(error)) return "absent";
    throw error;
  }
}

const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** A regular file with one name; null for anything else that an agent may have put there. */
async function read(
  directory: FileHandle,
  name: string,
  maxBytes: number,
  redact: (text: string) => string,
): Promise<{ bytes: Buffer; cut: boolean } | null> {
  const file = await open(below(directory, name), FILE).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (file === null) return null;
  try {
    const { size, nlink } = await file.stat().then((one) => (one.isFile() ? one : { size: 0, nlink: 2 }));
    if (nlink > 1) return null;
    if (size > maxBytes) return { bytes: Buffer.alloc(0), cut: true };
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return { bytes: hidden(bytes.subarray(0, bytesRead), redact), cut: false };
  } finally {
    await file.close();
  }
}

/** Without the secrets it shows; what is no text is read byte by byte. */
function hidden(bytes: Buffer, redact: (text: string) => string): Buffer {
  const encoding = isUtf8(bytes) ? "utf8" : "latin1";
  const text = bytes.toString(encoding);
  const shown = redact(text);
  return shown === text ? bytes : Buffer.from(shown, encoding);
}

async function list(directory: FileHandle, prefix: string, files: Artifact[]): Promise<void> {
  if (prefix.split("/").length > MOST_LEVELS) return;
  for await (const entry of entriesOf(directory)) {
    if (files.length >= MOST_ARTIFACTS) return;
    const name = entry.name.toString();
    const path = `${prefix}${name}`;
    if (entry.isDirectory())
      await inDirectory(below(directory, name), [], (inner) => list(inner, `${path}/`, files));
    else if (entry.isFile()) {
      const file = await open(below(directory, name), FILE).catch(() => null);
      if (file === null) continue;
      const { size } = await file.stat().finally(() => file.close());
      files.push({ path, bytes: size });
    }
  }
}
