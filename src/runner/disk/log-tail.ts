import type { FileHandle } from "node:fs/promises";
import { inDirectory, newestFile, readInside } from "./safe-files.ts";

export interface Excerpt {
  readonly text: string;
  readonly cut: boolean;
}

type Redact = (text: string) => string;

/** Read before it is cut, so that a secret at the edge is seen whole and hidden whole. */
const MARGIN_BYTES = 16_384;

/** What programs print, as plain text: no escape sequences, no control characters but newline and tab. */
export function plainText(text: string): string {
  return text
    .replace(/\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|\x1b[ -/]*[0-~]/g, "")
    .replace(/\r\n?/g, "\n")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "");
}

/**
 * The same without secrets: hidden before, since an escape sequence swallows a character of what follows, and
 * after, since what was between the halves of one is gone.
 */
export function plainRedacted(text: string, redact: Redact): string {
  return redact(plainText(redact(text)));
}

/**
 * The last `maxBytes` of a run's log, redacted, as plain text; empty where there is none. Throws nothing for
 * what an agent did to it.
 */
export async function readLogEnd(
  cellDir: string,
  log: string,
  how: { readonly maxBytes: number; readonly redact: Redact },
): Promise<Excerpt> {
  const read = await inDirectory(cellDir, ["logs"], (directory) =>
    readInside(directory, log, { end: "end", maxBytes: how.maxBytes + MARGIN_BYTES }),
  );
  if (read === null) return { text: "", cut: false };
  const bytes = Buffer.from(plainRedacted(read.text, how.redact));
  if (bytes.length <= how.maxBytes) return { text: bytes.toString("utf8"), cut: read.cut };
  // Not in the middle of a character.
  return {
    text: bytes
      .subarray(-how.maxBytes)
      .toString("utf8")
      .replace(/^\ufffd+/, ""),
    cut: true,
  };
}

/**
 * The newest report an agent left since `since` in `artifacts/reports/*.md`, or below `artifacts` of its own,
 * redacted and cut; null where there is none worth reading.
 */
export async function readReport(
  cellDir: string,
  how: {
    readonly since: number;
    readonly maxBytes: number;
    readonly redact: Redact;
    readonly artifacts?: readonly string[];
  },
): Promise<string | null> {
  const read = await inDirectory(
    cellDir,
    [...(how.artifacts ?? ["artifacts"]), "reports"],
    async (directory: FileHandle) => {
      const name = await newestFile(directory, ".md", how.since);
      if (name === null) return null;
      return readInside(directory, name, { end: "start", maxBytes: how.maxBytes + MARGIN_BYTES });
    },
  );
  if (read === null) return null;
  const bytes = Buffer.from(plainRedacted(read.text, how.redact));
  const text = bytes
    .subarray(0, how.maxBytes)
    .toString("utf8")
    .replace(/\ufffd+$/, "");
  if (text.trim() === "") return null;
  return read.cut || bytes.length > how.maxBytes ? `${text}\n…` : text;
}
