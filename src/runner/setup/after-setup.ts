import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Backend, Surroundings } from "../../backends/backend.ts";

/** What a setup left in the tree, as git sees it. */
export interface Left {
  /** Files that git tracks and that it changed. */
  readonly changed: string[];
  /** What git does not know, kept out of the work from now on. */
  readonly untracked: string[];
}

const CHILD_MS = 60_000;
const MOST_BYTES = 256 * 1024;
const MOST_NAMED = 20;
const LONGEST_NAME = 200;

/**
 * Names what the setup changed, and tells the cell's own git to leave alone what it does not know: it is no
 * work of the agent's. It runs as the setup did, in the worktree, so whatever lies there gains nothing that
 * it did not have.
 */
const SCRIPT = `
set -u
umask 077
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 LC_ALL=C
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
run() { git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.quotePath=false "$@"; }
run diff --name-only -z --no-renames --no-ext-diff --ignore-submodules=none HEAD -- | tr '\\0\\n' '\\n?' | sed 's/^/changed /' | head -n ${MOST_NAMED + 1}
mkdir -p .git/info
run ls-files -z --others --exclude-standard --directory --no-empty-directory | tr '\\0\\n' '\\n?' >.git/info/.lazarus-left
sed 's/^/untracked /' .git/info/.lazarus-left | head -n ${MOST_NAMED + 1}
if [ -s .git/info/.lazarus-left ]; then
  { printf '# left by the setup of this cell\\n'; sed 's/[][*?!#\\\\ ]/\\\\&/g; s/^/\\//' .git/info/.lazarus-left; } >>.git/info/exclude
fi
rm -f .git/info/.lazarus-left
`;

/**
 * Looks at the tree after a setup that ended well; nothing is said where git cannot be asked. @throws
 * LazarusError `backend` or `disk-full`.
 */
export async function lookAtTree(
  backend: Backend,
  around: Surroundings,
  at: { readonly dir: string; readonly redact: (text: string) => string },
): Promise<Left> {
  const stdoutPath = join(at.dir, `setup-${around.cellId}`);
  await rm(stdoutPath, { force: true });
  try {
    await backend.runToEnd({
      ...around,
      network: "none",
      command: ["/bin/sh", "-c", SCRIPT],
      stdoutPath,
      timeoutMs: CHILD_MS,
      stderrBytes: 4_096,
    });
    const lines = (await readStart(stdoutPath)).split("\n");
    const named = (word: string) => {
      const all = lines
        .filter((line) => line.startsWith(`${word} `))
        .map((line) => line.slice(word.length + 1));
      const shown = all.slice(0, MOST_NAMED).map((name) => at.redact(name).slice(0, LONGEST_NAME));
      return all.length > MOST_NAMED ? [...shown, "…"] : shown;
    };
    return { changed: named("changed"), untracked: named("untracked") };
  } finally {
    await rm(stdoutPath, { force: true });
  }
}

async function readStart(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(MOST_BYTES);
    const { bytesRead } = await file.read(buffer, 0, MOST_BYTES, 0);
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await file.close();
  }
}
