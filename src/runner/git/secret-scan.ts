import { spawn } from "node:child_process";
import * as z from "zod";
import { started } from "../../backends/os/started.ts";
import { LazarusError } from "../../errors.ts";
import { WORK_MS } from "../confined.ts";
import type { KnownSecret } from "../known-secrets.ts";
import { SCAN_PROGRAM } from "../programs.ts";
import type { GitChild } from "./git.ts";

export interface ScanPlan {
  /**
   * What prints the commits that are looked through, one after the other: each is a git, or several of
   * which each reads what the one before it prints.
   */
  readonly gits: readonly (readonly GitChild[])[];
  /** Stands before the hash of each commit that is printed; nobody could foresee it. */
  readonly mark: string;
  readonly secrets: readonly KnownSecret[];
  readonly mostBytes: number;
}

/** `found`: commits that show secrets; not `isWhole`: there is more than was looked through. */
export type Scanned = z.infer<typeof answer>;

const answer = z.object({
  isWhole: z.boolean(),
  /** Null stands for a secret without a name. */
  found: z.array(z.object({ commit: z.string(), names: z.array(z.string().nullable()) })),
});
const NOT_WHOLE: Scanned = { isWhole: false, found: [] };
/** Of the child: its windows are small, whatever the text is. */
const HEAP_MB = 256;
const DOING = "looking for secrets";
const MOST_ANSWER = 1024 ** 2;

/**
 * Has a child look through a log for secrets: whatever an agent wrote, neither our event loop nor our heap
 * works through it. A child that comes to its limits (memory, five minutes) has not seen the whole.
 * @throws LazarusError `internal`, retryable, where the child cannot be started.
 */
export function scanLog(plan: ScanPlan): Promise<Scanned> {
  return new Promise((resolve, reject) => {
    const child = started(
      spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, SCAN_PROGRAM], {
        env: {},
        stdio: ["pipe", "pipe", "ignore"],
        // Git is its child: both end with the group.
        detached: true,
      }),
      DOING,
    );
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    };
    const clock = setTimeout(end, WORK_MS);
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (said.length > MOST_ANSWER) end();
    });
    // It may be gone before it has read all: its end says so.
    child.stdin.on("error", () => {});
    child.once("error", (cause) => {
      clearTimeout(clock);
      reject(new LazarusError("internal", DOING, { retryable: true, cause }));
    });
    child.once("close", (code) => {
      clearTimeout(clock);
      resolve(code === 0 ? readAnswer(said) : NOT_WHOLE);
    });
    child.stdin.end(JSON.stringify(plan));
  });
}

function readAnswer(said: string): Scanned {
  try {
    return answer.parse(JSON.parse(said));
  } catch {
    return NOT_WHOLE;
  }
}
