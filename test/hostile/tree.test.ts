import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { runGit, withClone } from "../e2e/git-client.ts";
import type { Stage } from "../e2e/stage.ts";
import { attack, branchOf, draftOf, hostileStage, inState, stillWorks, withOurRights } from "./ground.ts";

/** A gigabyte is written, packed, checked and sealed: on a busy disk that is a minute. */
const PATIENT = 400_000;
const ODD = [
  "-rf",
  "--all",
  " blank ",
  "new\nline",
  "tab\there",
  'quote"s',
  "gr\u00fc\u00df\u{1f600}",
  "back\\slash",
  "$(id)",
  "\u202egnp.exe",
];

/** As `printf` of a shell reads it. */
const octal = (text: string) =>
  Array.from(Buffer.from(text), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

let stage: Stage;

beforeAll(async () => {
  stage = await hostileStage(
    {
      heavy: `set -e; truncate -s 1G committed.bin; git add .; git commit --quiet -m "a gigabyte"; truncate -s 30M left.bin`,
      many: 'set -e; mkdir -p a/b; cd a/b; seq 10000 | split -l 1 -a 4 - f; git add .; git commit --quiet -m "ten thousand"',
      odd: `set -e
${ODD.map((name) => `printf x > "./$(printf '${octal(name)}.')"`).join("\n")}
git add .; git commit --quiet -m odd`,
      gone: "cd ..; rm -rf worktree",
      linked: 'cd ..; mv worktree kept; ln -s "$ground/outside" worktree',
      locked: `set -e
echo made > made.txt; git add .; git commit --quiet -m made
mkdir -p deep/er "$HOME/go/mod"
echo x > deep/er/f; echo x > "$HOME/go/mod/f"
for at in . deep/er "$HOME" "$HOME/go/mod" "$LAZARUS_ARTIFACTS" "$LAZARUS_ARTIFACTS/reports" ../logs ../meta; do
  ln -s "$ground/outside" "$at/out"; ln -s "$ground/outside/keep.txt" "$at/keep"; ln -s / "$at/root"
done
mkfifo deep/pipe
rm -f ./out ./keep ./root
chmod 000 deep/er/f; chmod 555 deep/er "$HOME/go/mod" "$HOME/go"; chmod 000 "$HOME/go/mod"`,
    },
    { prepare },
  );
});

async function prepare(ground: string): Promise<void> {
  await mkdir(join(ground, "outside"));
  await writeFile(join(ground, "outside", "keep.txt"), "keep\n");
}

afterAll(() => stage?.strike());

afterEach(async () => {
  await stillWorks(stage);
  expect(await readdir(join(stage.lazarus.dir, "outside"))).toEqual(["keep.txt"]);
  expect(await readFile(join(stage.lazarus.dir, "outside", "keep.txt"), "utf8")).toBe("keep\n");
});

it("holds a gigabyte back, says which file, closes only when told to discard, and then keeps it sealed", {
  timeout: 2 * PATIENT,
}, async () => {
  const { card, cellId, issue } = await attack(stage, "heavy", "held back", { patienceMs: PATIENT });
  expect(card).toContain("Held back: committed.bin is 1024.0 MB, larger than 20.0 MB (publish.max_file)");
  expect(card).toContain("left.bin is 30.0 MB");
  expect(await branchOf(stage, cellId)).toBe(null);
  await stage.type(stage.lead, issue, "/lazarus close");
  expect(await stage.reply(issue, "cannot be published")).toContain("larger than 20.0 MB");
  expect(await stage.status(cellId)).toMatchObject({ state: "idle" });
  await stage.type(stage.lead, issue, "/lazarus close --discard");
  await inState(stage, cellId, "archived", PATIENT);
  expect((await readdir(join(stage.lazarus.missionsDir, cellId, "archive"))).sort()).toEqual([
    "branch.bundle",
    "cell.tar.gz",
    "entries.jsonl.gz",
    "manifest.json",
  ]);
  await stage.type(stage.lead, issue, `/lazarus destroy`);
  await inState(stage, cellId, "destroyed", PATIENT);
});

it("publishes ten thousand files", async () => {
  const attacked = await attack(stage, "many", /→ draft #\d+/);
  expect(attacked.card).toContain("1 commit, 10000 files, +10000 −0");
  expect((await draftOf(stage, attacked)).body.length).toBeLessThan(10_000);
});

it("publishes names that mean something to shells, options, terminals and Markdown", async () => {
  const attacked = await attack(stage, "odd", /→ draft #\d+/);
  expect(attacked.card).toContain(`1 commit, ${ODD.length} files, +${ODD.length} −0`);
  await withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    const listed = await runGit(dir, null, [
      "diff",
      "-z",
      "--name-only",
      "origin/main",
      `origin/lazarus/${attacked.cellId.slice(0, 8)}`,
    ]);
    expect(
      listed.stdout
        .split("\0")
        .filter((name) => name !== "")
        .sort(),
    ).toEqual(ODD.map((name) => `${name}.`).sort());
  });
});

describe("a worktree that is none any more", () => {
  withOurRights("is said on the card, closes only when told to discard, and is never followed", async () => {
    const both = ["gone", "linked"].map(async (agent) => {
      const { card, cellId, issue } = await attack(stage, agent, "held back");
      expect(card).toContain("Held back: the worktree is gone, or a link: there is nothing to take out.");
      await stage.type(stage.dev, issue, "/lazarus revive");
      await stage.card(issue, "its worktree is gone, or a link");
      await stage.type(stage.lead, issue, "/lazarus close");
      await stage.card(issue, "not closed: the worktree is gone");
      await stage.type(stage.lead, issue, "/lazarus close --discard");
      await stage.card(issue, "**closed by lead** without publishing, archived");
      await stage.type(stage.lead, issue, "/lazarus destroy");
      await inState(stage, cellId, "destroyed");
      expect((await readdir(stage.lazarus.missionsDir)).filter((name) => name.includes(cellId))).toEqual([]);
    });
    await Promise.all(both);
  });
});

it("destroys a cell full of closed directories, fifos and links, and nothing beyond it", async () => {
  const { card, cellId, issue } = await attack(stage, "locked", /→ draft #\d+/);
  expect(card).toMatch(/\d commits?, /);
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, /\*\*closed by lead\*\*: published as #\d+, archived/);
  await stage.type(stage.lead, issue, "/lazarus destroy");
  await stage.card(issue, "**destroyed** by lead");
  await inState(stage, cellId, "destroyed");
  expect((await readdir(stage.lazarus.missionsDir)).filter((name) => name.includes(cellId))).toEqual([]);
  const { stdout } = await stage.lazarus.cli("status", cellId, "--json");
  expect(JSON.parse(stdout)).toMatchObject({ cells: [{ id: cellId, state: "destroyed" }] });
});
