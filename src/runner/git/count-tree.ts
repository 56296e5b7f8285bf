import { spawn } from "node:child_process";
import { started } from "../../backends/os/started.ts";
import { LazarusError } from "../../errors.ts";
import { formatSize } from "../../units.ts";
import { overMemory, overTime, saysOutOfMemory, type WorkLimits } from "../confined.ts";
import type { Git } from "./git.ts";

export interface TreePlan {
  /** A repository of ours that holds the commit. */
  readonly repository: string;
  readonly commit: string;
  /** For errors: `cloning acme/app into cell 4f1c0b7e`. */
  readonly doing: string;
  /** Files and directories. */
  readonly mostFiles: number;
  /** Of all of them together, as they lie on disk. */
  readonly mostBytes: number;
  readonly limits: WorkLimits;
}

/**
 * Counts what a checkout of a commit would write before anything is written: some objects of a stranger's may
 * stand for any number of files. It stops counting where it is too much.
 * @throws LazarusError `over-limit`, which names what is too much; `git`, retryable, where git fails.
 */
export function mustFit(git: Git, plan: TreePlan): Promise<void> {
  const { repository, doing, limits } = plan;
  const args = ["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", plan.commit];
  const { command, args: words, cwd, env } = git.child({ dir: repository, args });
  return new Promise((resolve, reject) => {
    const child = started(spawn(command, words, { cwd, env, stdio: ["ignore", "pipe", "pipe"] }), doing);
    let fault: LazarusError | null = null;
    const stop = (error: LazarusError) => {
      fault ??= error;
      child.kill("SIGKILL");
    };
    const clock = setTimeout(() => stop(overTime(doing, limits)), limits.mostMs);
    const tree = new TreeCount();
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(0, 4_096);
    });
    child.stdout.on("data", (chunk: Buffer) => {
      tree.push(chunk.toString("latin1"));
      const why = tree.excess(plan);
      if (why !== null) stop(new LazarusError("over-limit", `${doing}: ${why}`));
    });
    child.once("error", (cause) => {
      clearTimeout(clock);
      reject(new LazarusError("git", doing, { retryable: true, cause }));
    });
    child.once("close", (code) => {
      clearTimeout(clock);
      if (fault !== null) reject(fault);
      else if (code === 0) resolve();
      else if (saysOutOfMemory(stderr)) reject(overMemory(doing, limits));
      else reject(new LazarusError("git", `${doing}: git exited ${code}`, { retryable: true }));
    });
  });
}

/** Of the lines `mode type hash size<TAB>path`, each ended by NUL; `-` is no file's. @see git-ls-tree(1) */
class TreeCount {
  #files = 0;
  #bytes = 0;
  #torn = "";
  #isTooLong = false;

  push(text: string): void {
    const lines = (this.#torn + text).split("\0");
    this.#torn = lines.pop() ?? "";
    for (const line of lines) {
      this.#files++;
      const [, type, size] = /^\S+ (\S+) \S+ +(\d+|-)\t/.exec(line) ?? [];
      this.#bytes += type === "blob" ? onDisk(Number(size)) : BLOCK;
    }
    // One that has no end would be put together again with each piece.
    this.#isTooLong ||= [...lines, this.#torn].some((line) => line.length > LONGEST_PATH + BEFORE_PATH);
  }

  excess(most: Pick<TreePlan, "mostFiles" | "mostBytes">): string | null {
    if (this.#isTooLong) return `it has a path of more than ${LONGEST_PATH} bytes`;
    if (this.#files > most.mostFiles) return `it has more than ${most.mostFiles} files and directories`;
    if (this.#bytes > most.mostBytes)
      return `its files need more than ${formatSize(most.mostBytes)} (limits.disk)`;
    return null;
  }
}

const BLOCK = 4_096;
/** No system call takes a longer one. @see PATH_MAX of linux/limits.h */
const LONGEST_PATH = 4_096;
/** Mode, type, hash and size. */
const BEFORE_PATH = 128;

function onDisk(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}
