import { firstBytes } from "../../visible.ts";
import { type Git, TOO_MUCH } from "./git.ts";
import type { Range } from "./inspect.ts";

/** A diff for people to read, secrets hidden. */
export interface ShownDiff {
  readonly text: string;
  /** Not all of it is shown; the text says so at its end. */
  readonly isCut: boolean;
}

/** What git may print at once; what is larger is asked for file by file. */
const MOST_BYTES = 8 * 1024 ** 2;
const MOST_BYTES_OF_FILE = 1024 ** 2;
const MOST_FILES = 2_000;
/** What is looked through for secrets behind the last character that could be shown. */
const LOOK_AHEAD = 256 * 1024;

/**
 * The diff of a range in a repository of ours, at most `maxBytes` of it: names as git quotes them, binary
 * files by name alone. Nothing of the repository is run or obeyed: no external diff, no filters.
 */
export async function showDiff(
  deps: { readonly git: Git; readonly redact: (text: string) => string },
  range: Range,
  maxBytes: number,
): Promise<ShownDiff> {
  const whole = await ask(deps.git, range, { mostBytes: MOST_BYTES });
  const parts = whole === null ? fileByFile(deps.git, range) : sectionsOf(whole);
  let text = "";
  const most = maxBytes + LOOK_AHEAD;
  for await (const part of parts) {
    text += hide(part.slice(0, most), deps.redact);
    if (part.length > most || Buffer.byteLength(text) > maxBytes)
      return {
        text: `${firstBytes(text, maxBytes)}\n[cut: the first ${maxBytes} bytes are shown]\n`,
        isCut: true,
      };
  }
  return { text, isCut: false };
}

async function* fileByFile(git: Git, range: Range): AsyncGenerator<string> {
  const listed = await git({
    ...callIn(range),
    args: ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", range.base, range.tip, "--"],
  });
  const paths = listed.stdout.split("\0").filter((path) => path !== "");
  for (const path of paths.slice(0, MOST_FILES)) {
    const part = await ask(git, range, { mostBytes: MOST_BYTES_OF_FILE, path });
    yield part ??
      `diff --git ${JSON.stringify(path)}\n[larger than ${MOST_BYTES_OF_FILE} bytes: not shown]\n`;
  }
  if (paths.length > MOST_FILES) yield `[and ${paths.length - MOST_FILES} more files]\n`;
}

/** Null where it is more than may be printed. */
async function ask(
  git: Git,
  range: Range,
  how: { readonly mostBytes: number; readonly path?: string },
): Promise<string | null> {
  const end = await git({
    ...callIn(range),
    args: [
      ...["diff", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv"],
      ...[range.base, range.tip, "--", ...(how.path === undefined ? [] : [`:(literal)${how.path}`])],
    ],
    mostBytes: how.mostBytes,
    tolerant: true,
  });
  return end.code === TOO_MUCH ? null : end.stdout;
}

function callIn(range: Range) {
  // A file that would not be shown is not even loaded.
  const config = { "core.bigFileThreshold": String(MOST_BYTES) };
  return { dir: range.repository, doing: "showing what a cell made", config };
}

function* sectionsOf(diff: string): Generator<string> {
  yield* diff.split(/^(?=diff --git )/m);
}

/**
 * A secret that stands over several lines is seen only without the signs of the diff: such a file is not
 * shown at all.
 */
function hide(section: string, redact: (text: string) => string): string {
  const shown = redact(section);
  for (const sign of ["+", "-", ""]) {
    const lines = shown.split("\n").filter((line) => sign === "" || line.startsWith(sign));
    const bare = lines.map((line) => line.replace(/^[+\- ]/, "")).join("\n");
    if (redact(bare) !== bare)
      return `${shown.split("\n")[0] ?? ""}\n[not shown: a secret stands in it over several lines]\n`;
  }
  return shown;
}
