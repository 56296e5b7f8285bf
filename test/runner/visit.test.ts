import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend, BackendName } from "../../src/backends/backend.ts";
import { processBackend } from "../../src/backends/process.ts";
import { sandboxBackend } from "../../src/backends/sandbox/sandbox.ts";
import type { AgentConfig } from "../../src/config/config.ts";
import type { CellSpec, RunPrompt } from "../../src/protocol/shapes.ts";
import { BRIEF, createRunnerRig, type RunnerRig } from "../fakes/runner-rig.ts";
import { IS_ROOT } from "../fakes/uids.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

let rig: RunnerRig;
let base: string;
beforeEach(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "work.txt": Buffer.from("0\n") });
});
afterEach(() => rig.remove());

const PROMPT: RunPrompt = { kind: "words", text: "Look at it.", earlier: ["allegro"] };
const WORKS = `echo "$LAZARUS_TURN" > work.txt; git add -A; git commit --quiet -m "turn $LAZARUS_TURN"
echo mine > "$LAZARUS_HANDOFF"; echo key > "$HOME/key"`;
/** Tells in its report what it could write, or read of others. */
const LOOKS = `real=$(dirname "$(dirname "$LAZARUS_MISSION")")
try() { if "$@" 2>/dev/null; then echo "could: $*"; fi; }
put() { echo spoiled > "$1"; }
{
  # In a sandbox that is a file of its own, in memory.
  put "$real/config/prompts/1.md" 2>/dev/null
  echo "$LAZARUS_ROLE sees $(cat work.txt) at $(git log -1 --format=%s), hand-over \${LAZARUS_HANDOFF-none}"
  try put "$real/worktree/work.txt"
  try put "$real/worktree/.git/HEAD"
  try put "$real/artifacts/handoff/1-allegro.md"
  try put "$real/artifacts/answers/1.json"
  try put "$real/artifacts/new"
  try put "$real/meta/new"
  try cat "$real/home/allegro/key"
} > "$LAZARUS_ARTIFACTS/reports/found.md"
echo why > "$LAZARUS_ARTIFACTS/question.md"
echo spoiled > work.txt; git commit --quiet -am spoiled; true`;

/** Two agents: allegro works, kimi looks. */
function agents(backend: BackendName, scripts: { works?: string; looks?: string } = {}): void {
  const all = rig.deps.config.agents as Map<string, AgentConfig>;
  const more = { backend, paths: [rig.root] };
  const isSandboxed = backend === "sandbox";
  rig.agent(scripts.looks ?? LOOKS, isSandboxed ? more : { backend });
  const kimi = all.get("allegro");
  if (kimi !== undefined) all.set("kimi", { ...kimi, name: "kimi" });
  rig.agent(scripts.works ?? WORKS, isSandboxed ? more : { backend });
  if (isSandboxed) {
    // The scripts lie beside the cells, and a sandbox sees nothing that holds its cell.
    const shown = join(rig.root, "agents");
    mkdirSync(shown);
    for (const name of ["allegro", "kimi"]) {
      const agent = all.get(name);
      const path = agent?.command?.[0] ?? "";
      const copy = join(shown, `${name}.sh`);
      writeFileSync(copy, readFileSync(path), { mode: 0o755 });
      if (agent !== undefined) all.set(name, { ...agent, command: [copy], paths: [shown] });
    }
  }
  const backends: [BackendName, Backend][] = [
    ["process", processBackend()],
    ["sandbox", sandboxBackend()],
  ];
  rig.restart({ backends: new Map(backends) });
}

async function run(cell: CellSpec, n: number, agent: string): Promise<void> {
  const role = agent === "kimi" ? "observer" : "executor";
  const prompt = n === 1 ? BRIEF : PROMPT;
  await rig.perform("start", { cell, run: n, agent, role, prompt, turn: n });
  const isOver = () =>
    rig.said("run-ended").some((one) => one.cellId === cell.id && one.run === n) ||
    rig.said("run-refused").length > 0;
  await until(`run ${n} has ended`, isOver);
  expect(rig.said("run-refused")).toEqual([]);
}

async function collect(cell: CellSpec, n: number, agent: string) {
  const { id: cellId, repository, user, branch, baseCommit } = cell;
  await rig.perform("collect", {
    ...{ cellId, run: n, repository, user, agent, branch, baseCommit, turn: n },
    role: agent === "kimi" ? "observer" : "executor",
    ...{ handle: null, endedAt: null, seams: [], fork: null, secrets: [], asked: null, untouched: [] },
  });
  const found = rig.said("collected").at(-1);
  if (found === undefined) throw new Error("nothing was collected");
  return found.harvest;
}

/** All that lies below a directory, with owners, modes and hashes. */
function snapshot(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .sort()
    .filter((name) => !name.startsWith("guests"))
    .map((name) => {
      const path = join(root, name);
      const stat = lstatSync(path);
      const hash = stat.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
      return `${name} ${stat.uid} ${stat.mode.toString(8)} ${hash}`;
    });
}

describe.each([
  ["process", {}],
  ["sandbox", needs("sandbox")],
] as const)("an observer in %s", (backend, wants) => {
  it("reads the work, changes nothing, and leaves its report", wants, async () => {
    agents(backend);
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    const { tip } = await collect(cell, 1, "allegro");
    const at = (name: string) => rig.cellPath(cell, name);
    const before = [snapshot(at("worktree")), snapshot(at("artifacts"))];
    const given = readFileSync(rig.cellPath(cell, "config", "prompts", "1.md"), "utf8");
    await run(cell, 2, "kimi");
    const left = await collect(cell, 2, "kimi");
    expect(left).toMatchObject({ changed: false, tip: null, commitCount: 0, question: "why" });
    expect(left.report).toContain("observer sees 1 at turn 1, hand-over none");
    // Without users of their own nothing keeps agents from each other in `process`.
    if (IS_ROOT || backend === "sandbox") {
      expect(left.report).not.toContain("could:");
      expect([snapshot(at("worktree")), snapshot(at("artifacts"))]).toEqual(before);
      expect(readFileSync(rig.cellPath(cell, "config", "prompts", "1.md"), "utf8")).toBe(given);
    }
    expect(existsSync(at("guests"))).toBe(false);
    // Its work goes on from where it was.
    await run(cell, 3, "allegro");
    const next = await collect(cell, 3, "allegro");
    expect(next.commits.map((one) => one.subject)).toEqual(["turn 3", "turn 1"]);
    expect(next.commits[1]?.hash).toBe(tip);
  });

  it("whose end nobody looked at keeps nobody from going on, nor from sealing", wants, async () => {
    agents(backend);
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await collect(cell, 1, "allegro");
    await run(cell, 2, "kimi");
    await run(cell, 3, "allegro");
    expect((await collect(cell, 3, "allegro")).commitCount).toBe(2);
    await run(cell, 4, "kimi");
    await rig.seal(cell);
    expect(rig.said("sealed")).toHaveLength(1);
    const manifest = JSON.parse(readFileSync(rig.cellPath(cell, "archive", "manifest.json"), "utf8")) as {
      bundle: { of: string };
    };
    expect(manifest.bundle.of).toBe("worktree");
    expect(existsSync(rig.cellPath(cell, "guests"))).toBe(false);
  });

  it("gets a room of its own, whatever an agent had put there", wants, async () => {
    const outside = join(rig.root, "outside");
    mkdirSync(outside, { mode: 0o777 });
    agents(backend, { works: `${WORKS}\nln -s ${outside} "$LAZARUS_ARTIFACTS/guests"` });
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await collect(cell, 1, "allegro");
    await run(cell, 2, "kimi");
    expect((await collect(cell, 2, "kimi")).report).toContain("observer sees 1");
    expect(readdirSync(outside)).toEqual([]);
    expect(lstatSync(rig.cellPath(cell, "artifacts", "guests")).isDirectory()).toBe(true);
  });

  it("starts once, however often it is asked to", wants, async () => {
    agents(backend, { looks: `echo one >> "$LAZARUS_ARTIFACTS/count"; sleep 1; cat work.txt` });
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await collect(cell, 1, "allegro");
    const asked = { cell, run: 2, agent: "kimi", role: "observer", prompt: PROMPT, turn: 2 } as const;
    await rig.perform("start", asked);
    // As where Lazarus was killed before it had written the first start down.
    await rig.perform("start", asked);
    await until("its run has ended", () => rig.said("run-ended").length === 2);
    expect(rig.said("run-ended")[1]).toMatchObject({ code: 0 });
    expect(readFileSync(rig.cellPath(cell, "artifacts", "guests", "kimi", "count"), "utf8")).toBe("one\n");
  });
});

describe("a copy of the tree", () => {
  it("is made with the agents' own rights, and runs nothing of what they planted", async () => {
    const marks = join(rig.root, "marks");
    mkdirSync(marks);
    execFileSync("chmod", ["777", marks]);
    const plant = `${WORKS}
printf '#!/bin/sh\\nid -u > ${marks}/hook\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout
printf '#!/bin/sh\\nid -u > ${marks}/monitor\\n' > "$HOME/monitor"; chmod +x "$HOME/monitor"
git config core.fsmonitor "$HOME/monitor"; git config filter.evil.smudge "id -u > ${marks}/filter; cat"
echo '* filter=evil' > .git/info/attributes`;
    agents("process", { works: `mkdir -p .git/hooks; ${plant}` });
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await collect(cell, 1, "allegro");
    execFileSync("sh", ["-c", `rm -f ${marks}/*`]);
    await run(cell, 2, "kimi");
    expect((await collect(cell, 2, "kimi")).report).toContain("observer sees 1");
    for (const name of readdirSync(marks))
      expect([name, readFileSync(join(marks, name), "utf8").trim()]).not.toEqual([name, "0"]);
    expect(readdirSync(marks)).not.toContain("hook");
  });

  it("that cannot be made keeps the visit from starting, and says why", async () => {
    agents("process", { works: `${WORKS}; rm -rf .git` });
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await rig.perform("start", { cell, run: 2, agent: "kimi", role: "observer", prompt: PROMPT, turn: 2 });
    expect(rig.said("run-refused")[0]?.why).toContain("copying the tree for kimi");
    expect(existsSync(rig.cellPath(cell, "guests"))).toBe(false);
  });

  it("is made once there is room on the disk, and lies about nowhere until then", async ({ skip }) => {
    mkdirSync(rig.missions, { recursive: true });
    const options = ["-t", "tmpfs", "-o", "size=24m,mode=711", "tmpfs", rig.missions];
    if (spawnSync("mount", options).status !== 0) skip("a file system of its own");
    try {
      agents("process", { works: `head -c 2000000 /dev/urandom > big; ${WORKS}` });
      const cell = rig.spec(base);
      await run(cell, 1, "allegro");
      await collect(cell, 1, "allegro");
      const { bavail, bsize } = statfsSync(rig.missions);
      const taken = join(rig.missions, "taken");
      writeFileSync(taken, Buffer.alloc(bavail * bsize - 1_000_000));
      const start = { cell, run: 2, agent: "kimi", role: "observer", prompt: PROMPT, turn: 2 } as const;
      await expect(rig.perform("start", start)).rejects.toMatchObject({ code: "disk-full", retryable: true });
      expect(existsSync(rig.cellPath(cell, "guests"))).toBe(false);
      rmSync(taken);
      await run(cell, 2, "kimi");
      expect((await collect(cell, 2, "kimi")).report).toContain("observer sees 1");
    } finally {
      execFileSync("umount", ["-l", rig.missions]);
    }
  });

  it("belongs to the cell's own user, as does what was closed meanwhile", needs("root"), async () => {
    agents("process");
    const cell = rig.spec(base);
    await run(cell, 1, "allegro");
    await collect(cell, 1, "allegro");
    await run(cell, 2, "kimi");
    const uidOf = (...names: string[]) => statSync(rig.cellPath(cell, ...names)).uid;
    expect([uidOf("worktree"), uidOf("artifacts"), uidOf("artifacts", "handoff")]).toEqual([0, 0, 0]);
    expect([uidOf("guests", "kimi", "tree"), uidOf("artifacts", "guests", "kimi")]).toEqual([
      cell.user?.uid,
      cell.user?.uid,
    ]);
    await collect(cell, 2, "kimi");
    for (const names of [["worktree"], ["artifacts"], ["artifacts", "handoff"], ["artifacts", "guests"]])
      expect([names, uidOf(...names)]).toEqual([names, cell.user?.uid]);
  });
});
