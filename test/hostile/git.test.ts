import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { runGit, withClone } from "../e2e/git-client.ts";
import type { Stage } from "../e2e/stage.ts";
import { attack, branchOf, formsOf, hostileStage, inState, stillWorks } from "./ground.ts";

/** Two branches that change the same line: whoever puts them together has a conflict. */
const CONFLICT = `git checkout --quiet -b other
echo theirs > src.txt; git commit --quiet -am theirs
git checkout --quiet -; echo ours > src.txt; git commit --quiet -am ours`;
/** Writes down whose rights it was run with, then does what a filter must do. */
const SPY = `#!/bin/sh
{ echo "--- $0 $*"; env; } >> "$(dirname "$0")/open/canary.txt"
cat`;

let stage: Stage;

beforeAll(async () => {
  stage = await hostileStage(
    {
      merger: `${CONFLICT}; git merge --quiet other; exit 0`,
      rebaser: `${CONFLICT}; git rebase --quiet other; exit 0`,
      detached:
        'git checkout --quiet --detach; echo d > d.txt; git add .; git commit --quiet -m "on no branch"',
      elsewhere:
        'git checkout --quiet -b my/own; echo e > e.txt; git add .; git commit --quiet -m "on another branch"',
      backwards: "git reset --quiet --hard HEAD~1",
      "half-backwards":
        "git reset --quiet --hard HEAD~1; echo new > new.txt; git add .; git commit --quiet -m new",
      rootless: "git checkout --quiet --orphan fresh; git commit --quiet -m 'a history of its own'",
      "git-file": "rm -rf .git; echo 'gitdir: /nowhere' > .git; echo kept > kept.txt",
      "git-link": 'mv .git "$HOME/moved.git"; ln -s "$HOME/moved.git" .git; echo kept > kept.txt',
      "git-fifo": "rm -rf .git; mkfifo .git; echo kept > kept.txt",
      "git-gone": "rm -rf .git; echo kept > kept.txt",
      "git-other":
        "rm -rf .git; git init --quiet; echo kept > kept.txt; git add .; git commit --quiet -m other",
      "git-empty": "rm -rf .git; mkdir .git; echo kept > kept.txt",
      armed: {
        script: `set -eu
spy="$ground/spy.sh"
mkdir -p .git/info; printf '* filter=spy diff=spy merge=spy\\n' > .git/info/attributes
mkdir -p .hooks .git/info
for hook in pre-commit post-commit pre-push post-checkout reference-transaction post-index-change pre-auto-gc pre-receive update; do
  cp "$spy" ".hooks/$hook"; cp "$spy" ".git/hooks/$hook" 2>/dev/null || { mkdir -p .git/hooks; cp "$spy" ".git/hooks/$hook"; }
done
echo "armed $LAZARUS_CELL $(date +%N)" > armed.txt
git add .
git commit --quiet -m "armed"
cat >> .git/evil.cfg <<CFG
[filter "spy"]
	clean = sh '$spy' clean
	smudge = sh '$spy' smudge
	required = true
[diff "spy"]
	textconv = sh '$spy' textconv
	command = sh '$spy' diff
[core]
	fsmonitor = sh '$spy' fsmonitor
	hooksPath = $PWD/.hooks
	sshCommand = sh '$spy' ssh
	askPass = $spy
	editor = sh '$spy' editor
	pager = sh '$spy' pager
	gitProxy = sh '$spy' proxy
[credential]
	helper = "!sh '$spy' credential"
[gpg]
	program = $spy
[uploadpack]
	packObjectsHook = sh '$spy' pack
[remote "origin"]
	uploadpack = sh '$spy' uploadpack
	receivepack = sh '$spy' receivepack
[url "ext::sh '$spy' url"]
	insteadOf = http://
	pushInsteadOf = http://
CFG
git config include.path evil.cfg
echo "left $LAZARUS_CELL $(date +%N)" > left.txt`,
      },
    },
    { prepare: (ground) => writeFile(join(ground, "spy.sh"), SPY, { mode: 0o755 }) },
  );
  const { server, repo, dev } = stage;
  await server.commitFile(dev, repo, { branch: "main", path: "second.txt", text: "second\n" });
});

afterAll(() => stage?.strike());

afterEach(() => stillWorks(stage));

/** What a commit on the forge holds, file by file, and the subjects above `main`. */
async function published(
  cellId: string,
): Promise<{ files: string[]; subjects: string[]; show(path: string): Promise<string> }> {
  const branch = `origin/lazarus/${cellId.slice(0, 8)}`;
  return withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    const ask = async (...args: string[]) => (await runGit(dir, null, args)).stdout.trim().split("\n");
    const files = await ask("diff", "--name-only", "origin/main", branch);
    const subjects = await ask("log", "--reverse", "--format=%s", `origin/main..${branch}`);
    const texts = new Map<string, string>();
    for (const file of files)
      texts.set(file, (await runGit(dir, null, ["show", `${branch}:${file}`])).stdout);
    return { files, subjects, show: async (path: string) => texts.get(path) ?? "" };
  });
}

describe("a tree that was left in the middle", () => {
  it("of a merge or a rebase is published as it lies, marked as such, and the draft says so", async () => {
    const left = Object.entries({ merger: "merge", rebaser: "rebase" }).map(async ([agent, what]) => {
      const { card, cellId } = await attack(stage, agent, /→ draft #\d+/);
      expect(card).toContain(
        `It was left in the middle of a ${what}: the files as they lay are in the last commit.`,
      );
      const { subjects, show } = await published(cellId);
      expect(subjects.at(-1)).toBe(`wip: ${what} left unfinished by ${agent}`);
      expect(await show("src.txt")).toMatch(/<<<<<<< [\s\S]*=======[\s\S]*>>>>>>> /);
      const number = Number(/draft #(\d+)/.exec(card)?.[1]);
      expect((await stage.server.pullRequest(stage.repo, number)).body).toContain(
        `The tree was left in the middle of a ${what}`,
      );
    });
    await Promise.all(left);
  });

  it("with HEAD on another branch or on none is published all the same", async () => {
    const left = Object.entries({ detached: "on no branch", elsewhere: "on another branch" }).map(
      async ([agent, subject]) => {
        const { card, cellId } = await attack(stage, agent, /→ draft #\d+/);
        expect(card).toContain("1 commit, 1 file, +1 −0");
        expect((await published(cellId)).subjects).toEqual([subject]);
      },
    );
    await Promise.all(left);
  });
});

describe("a history that was rewritten", () => {
  it("is held back with the reason, kept in the cell, and closed only when a director discards it", async () => {
    const reasons = {
      backwards: "HEAD was moved back to before the commit the cell started from",
      "half-backwards": "its history does not contain the commit the cell started from",
      rootless: "its history does not contain the commit the cell started from",
    };
    const all = Object.entries(reasons).map(async ([agent, why]) => {
      const { card, cellId, issue } = await attack(stage, agent, `Held back: ${why}`);
      expect(card).toContain("Nothing was pushed; the work is kept in the cell.");
      expect(await branchOf(stage, cellId)).toBe(null);
      expect((await stage.lazarus.cli("why", cellId)).stdout).toContain(why);
      await stage.type(stage.lead, issue, "/lazarus close");
      expect(await stage.reply(issue, "cannot be published")).toContain(why);
      expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
      await stage.type(stage.lead, issue, "/lazarus close --discard");
      await stage.card(issue, "**closed by lead** without publishing, archived");
      expect(await stage.status(cellId)).toMatchObject({ state: "archived", outcome: "discarded" });
    });
    await Promise.all(all);
  });
});

describe("a .git that is none", () => {
  it("is not used: the files of the tree are published over the base, and card and draft say so", async () => {
    const reasons = {
      "git-file": "it is a file",
      "git-link": "it is a link",
      "git-fifo": "it is no directory",
      "git-gone": "it is gone",
      "git-other": "it does not hold the base commit",
      "git-empty": /it does not hold the base commit|git could not be asked/,
    };
    const all = Object.entries(reasons).map(async ([agent, why]) => {
      const { card, cellId } = await attack(stage, agent, /→ draft #\d+/);
      expect(card).toContain("1 commit, 1 file, +1 −0");
      const said = /\.git was unusable \((.*)\), so the files of the tree were committed over the base/.exec(
        card,
      )?.[1];
      expect(said).toMatch(why);
      expect((await published(cellId)).subjects).toEqual([`wip: left by ${agent}, whose .git was unusable`]);
      const number = Number(/draft #(\d+)/.exec(card)?.[1]);
      expect((await stage.server.pullRequest(stage.repo, number)).body).toContain(".git was unusable");
    });
    await Promise.all(all);
  });
});

describe("a configuration that runs programs", () => {
  it("runs none with the bot's rights, from collecting over a second run to the seal", async () => {
    const canary = join(stage.lazarus.dir, "open", "canary.txt");
    const { issue, cellId } = await attack(stage, "armed", /→ draft #\d+/);
    await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.card(issue, /[34] commits/);
    await stage.type(stage.lead, issue, "/lazarus close");
    await inState(stage, cellId, "archived");
    const seen = await readFile(canary, "utf8");
    const runs = seen.split(/^--- /m).slice(1);
    expect(runs.length).toBeGreaterThan(0);
    for (const run of runs) {
      expect(run).toContain(`LAZARUS_CELL=${cellId}\n`);
      expect(run).not.toMatch(/GIT_CONFIG_VALUE_|Authorization: (?!Bearer \$LAZARUS_)|git-home/);
    }
    for (const form of formsOf(stage.bot.token)) expect(seen).not.toContain(form);
    for (const form of formsOf(`lazarus:${stage.bot.token}`)) expect(seen).not.toContain(form);
    const { files } = await published(cellId);
    expect(files).toEqual(expect.arrayContaining(["armed.txt", "left.txt"]));
  });
});
