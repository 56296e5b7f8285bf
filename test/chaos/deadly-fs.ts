import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

/**
 * Where the program dies. `at`: `backend.start`, `backend.lock` (the shim has just taken its lock),
 * `forge.<call>`, `fs.<call of node:fs/promises>` (or the same of `node:fs`, waited for), `http.202` or
 * `sql`: in the transaction of a statement, which is undone then (`before`), or right after it was committed
 * (`after`). `match` is tested on the call's arguments as JSON: of a statement its text and what is bound.
 */
export interface Death {
  readonly at: string;
  readonly when: "before" | "after";
  readonly match?: string;
}

export type Call = (...args: unknown[]) => unknown;

export function isHere(death: Death, name: string, args: readonly unknown[]): boolean {
  return death.at === name && new RegExp(death.match ?? "").test(JSON.stringify(args));
}

/** Has this process die at a call of the file system, where that is where it is to die. */
export function makeFilesDeadly(death: Death, die: () => never): void {
  if (!death.at.startsWith("fs.")) return;
  const name = death.at.slice(3);
  const isFatal = (args: readonly unknown[]) => {
    const shown = args.map((arg) => (Buffer.isBuffer(arg) ? arg.toString() : arg));
    return isHere(death, death.at, shown);
  };
  const calls = fs as unknown as Record<string, Call> & { promises: Record<string, Call> };
  const later = calls.promises[name] as Call;
  calls.promises[name] = async (...args) => {
    if (isFatal(args) && death.when === "before") die();
    const answer = await later.apply(fs.promises, args);
    if (isFatal(args)) die();
    return answer;
  };
  const atOnce = calls[`${name}Sync`] as Call;
  calls[`${name}Sync`] = (...args) => {
    if (isFatal(args) && death.when === "before") die();
    const answer = atOnce.apply(fs, args);
    if (isFatal(args)) die();
    return answer;
  };
  syncBuiltinESMExports();
}
