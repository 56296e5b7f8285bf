import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { fenced } from "../../../src/gitea/markdown.ts";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { showUnpublished } from "../../../src/runner/unpublished.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
let base: string;
let cell: CellSpec;

beforeAll(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "one\n" });
});
beforeEach(() => {
  cell = rig.spec(base);
});
afterAll(() => rig.remove());

/** What an agent made that is this script, and a workflow, so that it is held back. */
async function held(script: string) {
  rig.agent(
    `mkdir -p .gitea/workflows; echo x >.gitea/workflows/ci.yml; ${script}; git add -A; git commit -qm "Change"`,
  );
  await rig.runToEnd(cell);
  return rig.collect(cell);
}
const all = (more: object = {}) =>
  showUnpublished(rig.deps.config, rig.deps.redact, {
    ...{ cellId: cell.id, repository: cell.repository, baseCommit: base, publishedTip: null, maxBytes: 1e6 },
    ...more,
  });

it("shows whoever decides what is held back, and nothing where nothing is", async () => {
  const { diff } = await held("echo two >>a.txt");
  expect(diff).toContain("diff --git a/.gitea/workflows/ci.yml b/.gitea/workflows/ci.yml");
  expect(diff).toContain(" one\n+two\n");
  expect((await all()).text).toBe(diff);
  const bare = rig.spec(base);
  rig.agent("echo two >>a.txt; git commit -qam two");
  await rig.runToEnd(bare);
  expect((await rig.collect(bare)).diff).toBeNull();
});

it("hides secrets, also one that stands over two lines, and in a name", async () => {
  const half = TOKEN.length / 2;
  const { diff, forbidden } = await held(
    `echo '${TOKEN}' >leak.txt; printf '%s\\n%s\\n' '${TOKEN.slice(0, half)}' '${TOKEN.slice(half)}' >torn.txt; echo x >'${TOKEN}.txt'`,
  );
  expect(forbidden).not.toEqual([]);
  const shown = `${diff}${(await all()).text}`;
  expect(shown).not.toContain(TOKEN);
  expect(shown).not.toContain(TOKEN.slice(half));
  expect(shown).toContain("+++ b/torn.txt\n@@ -0,0 +1,2 @@\n+[redacted]\n");
  expect(shown).toContain("ci.yml");
});

it("shows binary and huge files by name alone, and at most 20 KB on the card", async () => {
  const { diff } = await held(
    `head -c 5000 /dev/zero >zeros.bin; for i in $(seq 1 40000); do echo "line $i of many"; done >long.txt`,
  );
  expect(diff).toMatch(/\[cut: the first 20480 bytes are shown\]\n$/);
  expect(Buffer.byteLength(diff ?? "")).toBeLessThan(20_600);
  const whole = await all({ maxBytes: 16e6 });
  expect(whole).toMatchObject({ isCut: false });
  expect(whole.text).toContain("Binary files /dev/null and b/zeros.bin differ");
  expect(whole.text).toContain("+line 40000 of many");
});

it("lets no name and no text out of its fence", async () => {
  const { diff } = await held(
    "printf 'a\\n```\\n````\\n</details>\\n@dev\\n\\033[2J' >evil.txt; echo x >'```\n@dev fixes #1'; echo '*.txt diff=evil filter=evil' >.gitattributes; git config diff.evil.textconv 'touch /tmp/lazarus-was-here'; git config diff.external 'touch /tmp/lazarus-was-here'",
  );
  expect(existsSync("/tmp/lazarus-was-here")).toBe(false);
  const { text } = fenced(diff ?? "", 21 * 1024);
  const fence = text.split("\n")[0] ?? "";
  expect(fence.length).toBeGreaterThan(4);
  expect(text.split("\n").filter((line) => line.startsWith(fence))).toHaveLength(2);
  expect(text).not.toContain("\u001b");
  expect(diff).toContain('"b/```\\n@dev fixes #1"');
});

it("shows only what came after what is published, and leaves nothing behind", async () => {
  const first = await held("echo two >>a.txt");
  rig.agent("echo three >>a.txt; git commit -qam three");
  await rig.runToEnd(cell, 2);
  await rig.collect(cell, 2);
  const { text } = await all({ publishedTip: first.tip });
  expect(text).toContain("+three");
  expect(text).not.toContain("ci.yml");
  expect(existsSync(join(rig.deps.config.dataDir, "diffs", String(process.pid), cell.id))).toBe(false);
  await expect(all({ cellId: crypto.randomUUID() })).rejects.toMatchObject({ code: "not-found" });
});
