import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runGit, withClone } from "./git-client.ts";
import { Stage, seen, type Thread } from "./stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
});

afterAll(() => stage?.strike());

async function summon(
  agent: string,
  expected: string | RegExp,
  repo = stage.repo,
): Promise<{ issue: Thread; cellId: string; card: string }> {
  const issue = await stage.openIssue(`A task for ${agent}`, { repo });
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  const card = await stage.card(issue, expected);
  return { issue, card, cellId: await stage.cellId(issue) };
}

const onDisk = async (cellId: string) =>
  (await readdir(stage.lazarus.missionsDir)).filter((name) => name.includes(cellId));
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("a cell that is closed", () => {
  let issue: Thread;
  let cellId: string;
  let pull: string;

  beforeAll(async () => {
    const made = await summon("allegro", /→ draft #\d+/);
    issue = made.issue;
    cellId = made.cellId;
    pull = /→ draft (#\d+)/.exec(made.card)?.[1] ?? "";
  });

  it("cannot be destroyed before, unless by force", async () => {
    const asked = await stage.type(stage.lead, issue, "/lazarus destroy");
    const said = await stage.reply(issue, "is idle, not archived");
    expect(said).toContain("--force");
    expect(await stage.reacted(issue, asked, "confused")).toEqual(["confused", "eyes"]);
    expect(await onDisk(cellId)).toEqual([cellId]);
  });

  it("tells its status, its log, and why it is as it is", async () => {
    await stage.type(stage.reader, issue, "/lazarus status");
    const table = await stage.reply(issue, "| RESULT |", 2);
    expect(table).toMatch(new RegExp(`\\| \`${cellId.slice(0, 8)}\` \\| idle \\| allegro \\|.*draft`));
    await stage.type(stage.dev, issue, "/lazarus logs --tail 1");
    const log = await stage.reply(issue, "<details>", 3);
    expect(log).toMatch(
      /<summary>Log of run 1 of cell [0-9a-f]{8}.*<\/summary>\n\n```\nallegro is ready\n```\n\n<\/details>/,
    );
    await stage.type(stage.reader, issue, `/lazarus why ${cellId.slice(0, 8)}`);
    expect(await stage.reply(issue, "is idle since", 4)).toContain("Run 1 of allegro: exit 0");
    await stage.type(stage.reader, issue, `/lazarus status ${cellId.slice(0, 4)}`);
    expect(await stage.reply(issue, "allegro is done", 5)).toContain("3 commits, 2 files");
    await stage.type(stage.reader, issue, "/lazarus help");
    const help = await stage.reply(issue, "What you can type", 6);
    expect(help).toContain("summon [AGENT] [TARGET]");
    expect(help).toContain("invite [CELL] bot:AGENT");
  });

  it("is archived, with a closing report for who closed it", async () => {
    const asked = await stage.type(stage.lead, issue, "/lazarus close");
    const card = await stage.card(issue, `**closed by lead**: published as ${pull}, archived`);
    expect(card).toContain("published and sealed");
    const report = await stage.reply(issue, "is closed by lead", 7);
    expect(report).toContain(`published as ${pull}, archived.`);
    expect(report).toMatch(/^@dev: /);
    expect(await stage.reacted(issue, asked, "rocket")).toEqual(["eyes", "rocket"]);
    expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "done" });
    expect((await stage.cards(issue)).length).toBe(1);
  });

  it("is sealed: everything is in the archive, and the worktree is empty", async () => {
    const dir = join(stage.lazarus.missionsDir, cellId);
    await seen(
      "the status on disk",
      () => stage.lazarus.readCell(cellId, "meta/mission.json"),
      '"status": "archived"',
    );
    expect(await readdir(join(dir, "worktree"))).toEqual([]);
    const archive = join(dir, "archive");
    expect((await readdir(archive)).sort()).toEqual([
      "branch.bundle",
      "cell.tar.gz",
      "entries.jsonl.gz",
      "manifest.json",
    ]);
    const manifest = JSON.parse(await readFile(join(archive, "manifest.json"), "utf8"));
    for (const { name, bytes, sha256 } of manifest.files) {
      const content = await readFile(join(archive, name));
      expect([name, content.length, createHash("sha256").update(content).digest("hex")]).toEqual([
        name,
        bytes,
        sha256,
      ]);
    }
    expect(manifest.files.length).toBe(3);
    const { stdout } = await promisify(execFile)("tar", ["-tzf", join(archive, "cell.tar.gz")]);
    for (const part of [
      "worktree/made.txt",
      "artifacts/reports/report.md",
      "logs/allegro-1.log",
      "home/allegro/",
      "meta/mission.json",
    ])
      expect(stdout.split("\n")).toContain(part);
  });

  it("can be had again from its bundle by anybody who has a clone", async () => {
    await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
      const bundle = join(dir, "..", "branch.bundle");
      await copyFile(join(stage.lazarus.missionsDir, cellId, "archive", "branch.bundle"), bundle);
      const verified = await runGit(dir, null, ["bundle", "verify", bundle]);
      expect([verified.code, verified.stderr]).toEqual([0, expect.stringContaining("is okay")]);
      const heads = await runGit(dir, null, ["bundle", "list-heads", bundle]);
      const draft = await stage.server.pullRequest(stage.repo, Number(pull.slice(1)));
      expect(heads.stdout).toContain(draft.head.sha);
    });
  });

  it("leaves nothing on disk when it is destroyed, and a tombstone in the registry", async () => {
    const asked = await stage.type(stage.lead, issue, "/lazarus destroy");
    const card = await stage.card(issue, "**destroyed** by lead");
    expect(card).not.toContain("What you can do");
    expect(await stage.reacted(issue, asked, "rocket")).toEqual(["eyes", "rocket"]);
    expect(await onDisk(cellId)).toEqual([]);
    expect(await stage.status(cellId)).toMatchObject({ id: cellId, state: "destroyed" });
    const { stdout } = await stage.lazarus.cli("status");
    expect(stdout).not.toContain(cellId.slice(0, 8));
    expect((await stage.server.pullRequest(stage.repo, Number(pull.slice(1)))).isOpen).toBe(true);
  });
});

it("closes as merged when its draft is merged, and as rejected when it is closed", async () => {
  const merged = await summon("allegro", /→ draft #\d+/);
  const number = Number(/→ draft #(\d+)/.exec(merged.card)?.[1]);
  const title = (await stage.server.pullRequest(stage.repo, number)).title.replace("WIP: ", "");
  await stage.server.api(stage.dev, "PATCH", `/repos/${stage.repo}/pulls/${number}`, { title });
  await stage.server.mergePullRequest(stage.dev, stage.repo, number);
  await stage.card(merged.issue, `**closed by dev**: merged as #${number}, archived`);
  expect(await stage.status(merged.cellId)).toMatchObject({ state: "archived", outcome: "merged" });

  const rejected = await summon("halfway", /→ draft #\d+/);
  const other = Number(/→ draft #(\d+)/.exec(rejected.card)?.[1]);
  await stage.server.closeIssue(stage.lead, stage.repo, other);
  await stage.card(rejected.issue, `**closed by lead**: #${other} was not merged, archived`);
  expect(await stage.status(rejected.cellId)).toMatchObject({ state: "archived", outcome: "rejected" });
});

it("closes without publishing when that is wanted", async () => {
  const { issue, cellId } = await summon("patient", "is working");
  await stage.type(stage.lead, issue, "/lazarus close --discard");
  await stage.card(issue, "**closed by lead** without publishing, archived");
  expect(await stage.reply(issue, "is closed by lead")).toContain("not published, archived");
  expect(await stage.status(cellId)).toMatchObject({
    state: "archived",
    outcome: "discarded",
    pull_request: null,
  });
  expect(await stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`)).toBe(null);
});

it("destroys a cell by force under a running agent, whose end is proven", async () => {
  const { issue, cellId } = await summon("endless", "is working");
  const pid = Number(
    await seen(
      "the agent's pid",
      () => stage.lazarus.readCell(cellId, "artifacts/pid").catch(() => ""),
      /\d\n/,
    ),
  );
  expect(isAlive(pid)).toBe(true);
  await stage.type(stage.lead, issue, "/lazarus destroy --force");
  await stage.card(issue, "**destroyed** by lead");
  expect(isAlive(pid)).toBe(false);
  expect(await onDisk(cellId)).toEqual([]);
  expect(await stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`)).toBe(null);
});

it("deletes nothing beyond a cell that is full of links, closed or not", async () => {
  const outside = join(stage.lazarus.dir, "outside");
  await mkdir(join(outside, "deep"), { recursive: true });
  await writeFile(join(outside, "keep.txt"), "keep me\n");
  await writeFile(join(outside, "deep", "file"), "and me\n");
  const kept = async () => {
    expect((await readdir(outside, { recursive: true })).sort()).toEqual(["deep", "deep/file", "keep.txt"]);
    expect(await readFile(join(outside, "keep.txt"), "utf8")).toBe("keep me\n");
  };
  const closed = await summon("linker", /→ draft #\d+/);
  await stage.type(stage.lead, closed.issue, "/lazarus close");
  await stage.card(closed.issue, "**closed by lead**");
  await stage.reply(closed.issue, "is closed by lead");
  await kept();
  await stage.type(stage.lead, closed.issue, "/lazarus destroy");
  await stage.card(closed.issue, "**destroyed**");
  const forced = await summon("linker", /→ draft #\d+/);
  await stage.type(stage.lead, forced.issue, "/lazarus destroy --force");
  await stage.card(forced.issue, "**destroyed**");
  await kept();
  expect(await onDisk(closed.cellId)).toEqual([]);
  expect(await onDisk(forced.cellId)).toEqual([]);
});

it("says why when the server refuses the push, keeps the work, and goes on once it may", async () => {
  const repo = await stage.createRepository("acme/guarded");
  await stage.server.protectBranch(repo, "lazarus/*");
  const { issue, cellId, card } = await summon("halfway", "not published", repo);
  expect(card).toMatch(/Not published: .*Not allowed to push to protected branch/);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle", pull_request: null });
  expect(await stage.lazarus.readCell(cellId, "worktree/half.txt")).toBe("half\n");
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, /not closed: .*protected branch/);
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  const rules = `/repos/${repo}/branch_protections/${encodeURIComponent("lazarus/*")}`;
  expect((await stage.server.api(stage.server.admin, "DELETE", rules)).status).toBe(204);
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, /\*\*closed by lead\*\*: published as #\d+, archived/);
});

it("gives a cell more time where a director asks for it, and nobody else", async () => {
  const { issue, cellId } = await summon("allegro", /→ draft #\d+/);
  const ends = async () => Date.parse(String((await stage.status(cellId)).expires_at));
  const before = await ends();
  const refused = await stage.type(stage.dev, issue, "/lazarus extend 4h");
  await stage.reply(issue, "`extend` needs a director");
  expect(await stage.reacted(issue, refused, "confused")).toEqual(["confused", "eyes"]);
  const asked = await stage.type(stage.lead, issue, `/lazarus extend ${cellId.slice(0, 8)} 4h`);
  expect(await stage.reacted(issue, asked, "rocket")).toEqual(["eyes", "rocket"]);
  expect((await ends()) - before).toBe(4 * 60 * 60_000);
});
