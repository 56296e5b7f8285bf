import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { freeUids } from "../fakes/uids.ts";

/**
 * Gives a configuration that `lazarus setup` wrote users of its own: processes are ended by their user, and
 * other servers are tested at the same time. Answers what puts the file back, so that `--undo` knows it again.
 */
export function giveOwnUids(configPath: string): () => void {
  const before = readFileSync(configPath, "utf8");
  const { first, last } = freeUids();
  appendFileSync(configPath, `uids: ${first}-${last}\n`);
  return () => writeFileSync(configPath, before);
}
