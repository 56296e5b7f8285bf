import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { createGzip, type Gzip } from "node:zlib";
import { LazarusError, systemCode } from "../../errors.ts";
import { overMemory, overTime, saysOutOfMemory, underLimits, type WorkLimits } from "../confined.ts";
import { below } from "../disk/safe-files.ts";
import { describeMember, readable } from "./entries.ts";
import { modeBefore, type OpenedModes } from "./make-readable.ts";
import { DEEPEST, type FileFacts, freshName, type SealedFile } from "./manifest.ts";
import { readTar } from "./tar/read.ts";
import { tooDeep } from "./too-deep.ts";

export interface PackPlan {
  readonly cellDir: string;
  /** Directories of the cell that go into the archive. */
  readonly parts: readonly string[];
  /** How things were that had to be opened to be read. */
  readonly modes: OpenedModes;
  /** PATH for tar. */
  readonly path: string;
  /** Of tar, which works through whatever an agent left. */
  readonly limits: WorkLimits;
}

/** What was packed; `denied`: tar may not read all of it. */
export type Packed =
  | { readonly denied: string }
  | {
      readonly denied: null;
      readonly files: readonly FileFacts[];
      readonly entries: number;
      readonly unpackedBytes: number;
      readonly leftOut: readonly string[];
    };

const MOST_LEFT_OUT = 100;
/** For the names of what lies too deep. */
const LOOK_MS = 60_000;
const MOST_STDERR = 64 * 1024;

/**
 * Packs a cell into `cell.tar.gz.new` and a list of what is in it, line by line as it goes by, into
 * `entries.jsonl.gz.new`; both are on disk when it returns. Links are stored as links, other file systems
 * left out, and so is what lies too deep.
 * @throws LazarusError `disk-full`, `directory`, `over-limit`.
 */
export async function packCell(archive: FileHandle, plan: PackPlan): Promise<Packed> {
  const packed = await FreshFile.make(archive, "cell.tar.gz");
  const list = await FreshFile.make(archive, "entries.jsonl.gz");
  // Last: what nobody reads when tar ends is dropped.
  const tar = startTar(plan);
  const ended = endOfTar(tar, plan);
  ended.catch(() => {});
  try {
    const told = { entries: 0, unpackedBytes: 0, leftOut: [] as string[] };
    const missing = new Set(plan.parts);
    const packing = (async () => {
      for await (const member of readTar(passOn(tar, packed))) {
        told.entries++;
        missing.delete(member.path.toString("latin1"));
        told.unpackedBytes += member.stored;
        const isNamed = member.type === "other" && told.leftOut.length < MOST_LEFT_OUT;
        if (isNamed) told.leftOut.push(readable(member.path));
        const mode = modeBefore(plan.modes, member.path.toString("latin1"), member);
        await list.write(Buffer.from(`${await describeMember({ ...member, mode })}\n`));
      }
    })();
    packing.catch(() => tar.kill("SIGKILL"));
    const end = await ended;
    const fault = await packing.then(
      () => null,
      (error: unknown) => ({ error }),
    );
    // Nobody reads on then, and tar complains of that, or was ended for it.
    if (fault !== null && isUnwritable(fault.error)) throw fault.error;
    if (end.isLate) throw overTime(`sealing ${plan.cellDir}`, plan.limits);
    if (end.code !== 0 && saysOutOfMemory(end.stderr))
      throw overMemory(`sealing ${plan.cellDir}`, plan.limits);
    if (end.code === 2) return { denied: firstLine(end.stderr) };
    // 1: something changed while it was read; nothing lives here any more, so that was our own log.
    if (end.code !== 0 && end.code !== 1) throw tarError(plan, end);
    if (fault !== null) throw fault.error;
    if (missing.size > 0) throw tarError(plan, { ...end, stderr: `${[...missing].join(", ")} did not come` });
    const files = [await packed.finish(), await list.finish()];
    const deep = await tooDeep(plan, { ...plan.limits, mostMs: LOOK_MS });
    const leftOut = [...deep, ...told.leftOut, ...socketsOf(end.stderr)].slice(0, MOST_LEFT_OUT);
    return { denied: null, files, entries: told.entries, unpackedBytes: told.unpackedBytes, leftOut };
  } catch (error) {
    tar.kill("SIGKILL");
    throw error;
  } finally {
    await packed.close();
    await list.close();
  }
}

function startTar(plan: PackPlan): ChildProcess {
  const words = [
    "--create",
    "--format=posix",
    "--pax-option=delete=atime,delete=ctime",
    "--numeric-owner",
    "--one-file-system",
    "--sparse",
    // Half-written files of ours.
    "--anchored",
    "--exclude=state/.*",
    "--no-wildcards-match-slash",
    `--exclude=${["*", ...Array.from({ length: DEEPEST }, () => "*")].join("/")}`,
    "--file=-",
    "--",
    ...plan.parts,
  ];
  const [command, ...args] = underLimits(plan.limits, ["tar", ...words]);
  return spawn(command, args, {
    cwd: plan.cellDir,
    env: { PATH: plan.path, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

interface TarEnd {
  readonly code: number | null;
  /** It was ended because it took too long. */
  readonly isLate: boolean;
  readonly stderr: string;
}

function endOfTar(child: ChildProcess, plan: PackPlan): Promise<TarEnd> {
  return new Promise((resolve, reject) => {
    let [stderr, isLate] = ["", false];
    const clock = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, plan.limits.mostMs);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, MOST_STDERR);
    });
    child.once("error", (error) => {
      clearTimeout(clock);
      const retryable = systemCode(error) !== "ENOENT";
      reject(new LazarusError("directory", `sealing ${plan.cellDir}: ${error.message}`, { retryable }));
    });
    child.once("close", (code) => {
      clearTimeout(clock);
      resolve({ code, stderr, isLate });
    });
  });
}

function tarError(plan: PackPlan, end: Pick<TarEnd, "code" | "stderr">): LazarusError {
  const line = firstLine(end.stderr);
  const how = end.code === null ? "was killed" : `exited ${end.code}`;
  return new LazarusError("directory", `sealing ${plan.cellDir}: tar ${how}: ${line}`, { retryable: true });
}

function firstLine(stderr: string): string {
  const lines = stderr.trim().split("\n");
  const telling = lines.filter(
    (line) => !/Exiting with failure|socket ignored|file changed as we read/.test(line),
  );
  return (telling[0] ?? "").slice(0, 300);
}

/** Whether the disk, or one file, takes no more. */
function isUnwritable(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(systemCode(error) ?? "");
}

/** tar has no type for a socket; it names them as it passes by. */
function socketsOf(stderr: string): string[] {
  return [...stderr.matchAll(/^tar: (.*): socket ignored$/gm)].map((match) => (match[1] ?? "").slice(0, 300));
}

/** The output of tar on its way to whoever reads the members; the same bytes go into the archive. */
async function* passOn(tar: ChildProcess, to: FreshFile): AsyncGenerator<Buffer, void> {
  if (tar.stdout === null) return;
  for await (const chunk of tar.stdout as AsyncIterable<Buffer>) {
    await to.write(chunk);
    yield chunk;
  }
}

/** A compressed file of the next seal, hashed as it is written. */
class FreshFile {
  readonly #name: SealedFile;
  readonly #file: FileHandle;
  readonly #gzip: Gzip;
  readonly #written: Promise<{ bytes: number; sha256: string }>;

  static async make(archive: FileHandle, name: SealedFile): Promise<FreshFile> {
    const path = below(archive, freshName(name));
    await rm(path, { force: true });
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return new FreshFile(name, await open(path, flags, 0o600));
  }

  private constructor(name: SealedFile, file: FileHandle) {
    this.#name = name;
    this.#file = file;
    this.#gzip = createGzip({ level: 3 });
    this.#written = this.#store();
    this.#written.catch(() => this.#gzip.destroy());
  }

  async #store(): Promise<{ bytes: number; sha256: string }> {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of this.#gzip as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      await this.#file.writeFile(chunk);
    }
    await this.#file.sync();
    return { bytes, sha256: hash.digest("hex") };
  }

  async write(chunk: Buffer): Promise<void> {
    // Where it cannot be written down, `#written` says why.
    if (this.#gzip.destroyed) await this.#written;
    if (!this.#gzip.write(chunk)) await Promise.race([once(this.#gzip, "drain"), this.#written]);
  }

  async finish(): Promise<FileFacts> {
    this.#gzip.end();
    return { name: this.#name, ...(await this.#written) };
  }

  async close(): Promise<void> {
    this.#gzip.destroy();
    await this.#written.catch(() => {});
    await this.#file.close();
  }
}
