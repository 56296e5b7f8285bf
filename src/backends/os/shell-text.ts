import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { LazarusError, systemCode } from "../../errors.ts";

/**
 * The last lines of a script, which end in `exec`, and what they read: `data` is found open from descriptor
 * `FIRST_DATA_FD` on. Neither is seen in any list of arguments: every user of a machine may read those, and
 * they hold prompts and paths.
 */
export interface ShellText {
  readonly text: string;
  readonly data: readonly (string | Uint8Array)[];
}

/** Where a shell finds its script; 3 is left to whoever reads what the started program says of itself. */
export const SCRIPT_FD = 4;
const _FIRST_DATA_FD = 5;

/** With its closing NUL. @see execve(2), MAX_ARG_STRLEN */
const WORD_BYTES = 128 * 1024;

/**
 * One word as a shell takes it, whatever is in it.
 * @throws LazarusError `backend` for a NUL, which no word can hold.
 */
export function quoted(word: string): string {
  return `'${wholeWord(word).replaceAll("'", `'\\''`)}'`;
}

/** Words as bubblewrap reads them from a file. */
export function nulSeparated(words: readonly string[]): string {
  return words.map((word) => `${wholeWord(word)}\0`).join("");
}

function wholeWord(word: string): string {
  if (word.includes("\0")) throw new LazarusError("backend", "a word of a command line holds a NUL");
  return word;
}

/**
 * Nothing but a command.
 * @throws LazarusError `backend` for a word that is longer than the kernel takes.
 */
export function execText(words: readonly string[]): ShellText {
  if (words.some((word) => Buffer.byteLength(word) >= WORD_BYTES))
    throw new LazarusError("backend", `a word of the command is longer than ${WORD_BYTES / 1024} KB`);
  return { text: `exec ${words.map(quoted).join(" ")}`, data: [] };
}

/**
 * A file with that text, open for reading, which has no name any more: nobody can change it while a shell
 * reads on, and nothing of it stays behind. It is made in `dir`, where only we may write.
 * @throws LazarusError `backend` where nothing can be made there; what the system says where the disk is
 * full.
 */
export function openUnnamed(dir: string, text: string | Uint8Array): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY } = constants;
  const path = join(dir, `.script-${crypto.randomUUID()}`);
  let written: number;
  try {
    written = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (cause) {
    if (["ENOSPC", "EDQUOT"].includes(systemCode(cause) ?? "")) throw cause;
    throw new LazarusError("backend", `writing into ${dir}`, { retryable: true, cause });
  }
  try {
    unlinkSync(path);
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    for (let at = 0; at < bytes.length; ) at += writeSync(written, bytes, at, bytes.length - at, at);
    // Opened anew: whoever reads it must not be able to write, and begins at its start.
    return openSync(`/proc/self/fd/${written}`, O_RDONLY);
  } finally {
    closeSync(written);
  }
}
