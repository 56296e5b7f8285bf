import { execFile } from "node:child_process";
import { readdir, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { treeFacts } from "../fakes/tree-facts.ts";
import { until } from "../fakes/until.ts";
import { Stage, type Thread } from "./stage.ts";

/** Remembers in its home how often it was here; and leaves things uncommitted, untracked, staged. */
const KEEPER = `set -eu
echo again >> "$HOME/visits"
echo "visit $(wc -l < "$HOME/visits")" > "$LAZARUS_CELL.txt"
git add "$LAZARUS_CELL.txt"
git commit --quiet -m "visit $(wc -l < "$HOME/visits")"
mkdir -p .git/info
printf 'ignored/\\n' > .git/info/exclude
mkdir -p ignored && date > ignored/since
git branch --force side HEAD
echo "keeper is ready"`;

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ agents: { keeper: KEEPER } });
});
afterAll(() => stage?.strike());

const at = (cellId: string, ...names: string[]) => join(stage.lazarus.missionsDir, cellId, ...names);

async function summon(): Promise<{ issue: Thread; cellId: string; pull: number }> {
  const issue = await stage.openIssue("A task for keeper");
  await stage.type(stage.dev, issue, "/lazarus summon keeper");
  const card = await stage.card(issue, /→ draft #\d+/);
  return { issue, cellId: await stage.cellId(issue), pull: Number(/→ draft #(\d+)/.exec(card)?.[1]) };
}

async function close(issue: Thread, cellId: string, replies: number): Promise<void> {
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, "**closed by lead**: published as");
  await stage.reply(issue, "is closed by lead", replies);
  // While it is emptied another directory takes its place: for a moment there is none.
  const left = () => readdir(at(cellId, "worktree")).catch(() => ["being replaced"]);
  await until("the worktree is empty", async () => (await left()).length === 0);
}

it("goes on from the archive where it stood, and publishes a second commit on the same draft", async () => {
  const { issue, cellId, pull } = await summon();
  const branch = `lazarus/${cellId.slice(0, 8)}`;
  const tip = await stage.server.branch(stage.repo, branch);
  const before = treeFacts(at(cellId, "home"));
  await close(issue, cellId, 1);

  const refused = await stage.type(stage.dev, issue, "/lazarus revive");
  expect(await stage.reply(issue, "needs a director", 2)).toContain("dev has write permission");
  expect(await stage.reacted(issue, refused, "confused")).toEqual(["confused", "eyes"]);

  const asked = await stage.type(stage.lead, issue, "/lazarus revive");
  const card = await stage.card(issue, /2 commits, 1 file[\s\S]*→ draft/);
  expect(await stage.reacted(issue, asked, "rocket")).toEqual(["eyes", "rocket"]);
  expect(card).toContain(`→ draft #${pull}`);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "done", runs: 2 });
  expect(await stage.lazarus.readCell(cellId, "home/keeper/visits")).toBe("again\nagain\n");
  expect(await stage.lazarus.readCell(cellId, "logs/keeper-1.log")).toContain("keeper is ready");
  expect(treeFacts(at(cellId, "home"))).not.toEqual(before);
  const now = await stage.server.branch(stage.repo, branch);
  expect(now).not.toBe(tip);
  expect((await stage.server.pullRequest(stage.repo, pull)).head.sha).toBe(now);
  const { stdout } = await promisify(execFile)(
    "git",
    ["-c", "safe.directory=*", "log", "--format=%s", "HEAD"],
    {
      cwd: at(cellId, "worktree"),
    },
  );
  expect(stdout.split("\n").slice(0, 2)).toEqual(["visit 2", "visit 1"]);

  const first = await readFile(at(cellId, "archive/manifest.json"), "utf8");
  await close(issue, cellId, 3);
  expect(await readFile(at(cellId, "archive/manifest.json"), "utf8")).not.toBe(first);
  await stage.type(stage.lead, issue, "/lazarus destroy");
  await stage.card(issue, "**destroyed** by lead");
  expect((await readdir(stage.lazarus.missionsDir)).filter((name) => name.includes(cellId))).toEqual([]);
});

it("opens another draft where the first was merged and its branch deleted meanwhile", async () => {
  const { issue, cellId, pull } = await summon();
  const branch = `lazarus/${cellId.slice(0, 8)}`;
  await close(issue, cellId, 1);
  await stage.server.api(stage.lead, "PATCH", `/repos/${stage.repo}/pulls/${pull}`, { title: "Ready" });
  await stage.server.mergePullRequest(stage.lead, stage.repo, pull);
  await stage.server.api(stage.lead, "DELETE", `/repos/${stage.repo}/branches/${encodeURIComponent(branch)}`);
  expect(await stage.server.branch(stage.repo, branch)).toBe(null);
  await stage.type(stage.lead, issue, "/lazarus revive");
  const card = await stage.card(issue, new RegExp(`→ draft #(?!${pull}\\b)\\d+`));
  const next = Number(/→ draft #(\d+)/.exec(card)?.[1]);
  const draft = await stage.server.pullRequest(stage.repo, next);
  expect(draft).toMatchObject({ isOpen: true, head: { ref: branch } });
  expect(draft.head.sha).toBe(await stage.server.branch(stage.repo, branch));
});

it("stays archived where the archive is damaged, and says what is", async () => {
  const { issue, cellId } = await summon();
  await close(issue, cellId, 1);
  await truncate(at(cellId, "archive/cell.tar.gz"), 100);
  await stage.type(stage.lead, issue, "/lazarus revive");
  const card = await stage.card(
    issue,
    "Not brought back: the archive is damaged: cell.tar.gz has 100 bytes instead of",
  );
  expect(card).toContain("**closed by lead**: published as");
  expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "done" });
  expect(await readdir(at(cellId, "worktree"))).toEqual([]);
});
