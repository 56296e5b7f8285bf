import { firstBytes } from "../../visible.ts";
import { plainRedacted } from "../disk/log-tail.ts";
import { inDirectory, readInside } from "../disk/safe-files.ts";

const MOST_BYTES = 16 * 1024;

/** Name of the file below `artifacts/handoff/` in which an agent leaves the next one what it needs. */
export function packetFileOf(turn: number, agent: string): string {
  return `${turn}-${agent}.md`;
}

/** What an agent left the next one, redacted, plain text, cut; null where that is nothing. */
export async function readPacket(
  cellDir: string,
  of: { readonly turn: number; readonly agent: string; readonly redact: (text: string) => string },
): Promise<string | null> {
  const read = await inDirectory(cellDir, ["artifacts", "handoff"], (directory) =>
    readInside(directory, packetFileOf(of.turn, of.agent), { end: "start", maxBytes: 2 * MOST_BYTES }),
  );
  const text = read === null ? "" : plainRedacted(read.text, of.redact).trim();
  if (text === "") return null;
  const isWhole = !read?.cut && Buffer.byteLength(text) <= MOST_BYTES;
  return isWhole ? text : `${firstBytes(text, MOST_BYTES)}\n\n(cut here: it was longer)`;
}
