import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { sessionIdOf } from "../../src/cells/names.ts";
import type { PresetName } from "../../src/preset-names.ts";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";

const THREAD = "01a22030-b2a7-78c3-8316-bf8a595a8765";

/** What each real agent leaves of a session; each run's words go to a file of their own. */
const PROGRAMS: Partial<Record<PresetName, string>> = {
  claude: `
    for word in "$@"; do test "$last" = --session-id && id=$word; last=$word; done
    test -z "$id" || { mkdir -p "$CLAUDE_CONFIG_DIR/projects/-x"; echo '{}' >"$CLAUDE_CONFIG_DIR/projects/-x/$id.jsonl"; }`,
  codex: `
    mkdir -p "$CODEX_HOME/sessions/2026/11/28"
    echo '{}' >"$CODEX_HOME/sessions/2026/11/28/rollout-2026-11-28T03-26-30-${THREAD}.jsonl"
    echo '{"type":"thread.started","thread_id":"${THREAD}"}'`,
  opencode: `echo '{"type":"step_start","timestamp":1,"sessionID":"ses_abc123"}'`,
};

let rig: RunnerRig;
let cell: CellSpec;
const pathBefore = process.env.PATH;

beforeAll(async () => {
  rig = await createRunnerRig();
  const bin = join(rig.root, "bin");
  mkdirSync(bin);
  for (const [name, script] of Object.entries(PROGRAMS)) {
    const words = `printf '%s\\n' "$@" >"$LAZARUS_ARTIFACTS/words-$(ls "$LAZARUS_ARTIFACTS" | wc -l)"`;
    writeFileSync(join(bin, name), `#!/bin/sh\n${words}\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  process.env.PATH = `${bin}:${pathBefore}`;
  rig.restart();
});
beforeEach(async () => {
  rig.reports.length = 0;
  cell = rig.spec(await rig.commit("main", { "a.txt": `${Math.random()}\n` }));
});
afterAll(async () => {
  process.env.PATH = pathBefore;
  await rig.remove();
});

/** The words of a run, the first being run 1. */
async function wordsOf(run: number): Promise<string[]> {
  const before = rig.said("run-ended").length;
  await rig.runToEnd(cell, run);
  expect(rig.said("run-ended").length).toBe(before + 1);
  const names = ["handoff", "answers", "reports", "checkpoints"].length;
  const text = readFileSync(rig.cellPath(cell, "artifacts", `words-${names + run - 1}`), "utf8");
  return text.trimEnd().split("\n");
}

const goesOn: readonly [PresetName, (cellId: string) => string[]][] = [
  ["claude", (cellId) => ["--resume", sessionIdOf(cellId, "allegro")]],
  ["codex", () => ["resume", THREAD]],
  ["opencode", () => ["-s", "ses_abc123"]],
];
it.each(goesOn)("%s goes on with its session, from idle and from the archive", async (preset, wanted) => {
  rig.agent("", { preset, command: null, brief: null });
  const words = wanted(cell.id).join(" ");
  expect((await wordsOf(1)).join(" ")).not.toContain(words);
  expect((await wordsOf(2)).join(" ")).toContain(words);
  await rig.seal(cell);
  const mission = { status: "archived", members: [], history: [] };
  await rig.perform("prune", { cellId: cell.id, mission, run: null });
  await rig.restore(cell, 3);
  expect((await wordsOf(3)).join(" ")).toContain(words);
});

it("takes each agent for held where its cell has a user of its own", async () => {
  rig.agent("", { preset: "claude", command: null, brief: null });
  const mode = cell.user === null ? "acceptEdits" : "bypassPermissions";
  expect((await wordsOf(1)).join(" ")).toContain(`--permission-mode ${mode}`);
});
