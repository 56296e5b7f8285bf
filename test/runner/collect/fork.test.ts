import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec, Fork } from "../../../src/protocol/shapes.ts";
import { git, writeCommit } from "../../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
/** Where the target's own base stood, and the head of a pull request that a fork brought. */
let base: string;
let head: string;

beforeAll(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "one\n" });
  rig.agent("exit 0");
});
afterAll(() => rig.remove());
beforeEach(async () => {
  await git(rig.forgeRepository, ["update-ref", "-d", "refs/heads/theirs"]).catch(() => {});
  await git(rig.forgeRepository, ["update-ref", "refs/heads/theirs", base]);
});

const FORK = (): Fork => ({ fullName: "dev/app", ref: "refs/heads/main", commit: base });

/** A cell that started from what the fork brought, in which an agent committed one harmless file. */
async function worked(theirs: Record<string, string>): Promise<CellSpec> {
  head = Object.keys(theirs).length === 0 ? base : await rig.commit("theirs", theirs);
  await git(rig.forgeRepository, ["update-ref", "refs/pull/7/head", head]);
  const cell = rig.spec(head, { baseRef: "refs/pull/7/head" });
  await rig.runToEnd(cell);
  rig.inWorktree(cell, "echo mine >mine.txt; git add mine.txt; git commit -qm mine");
  return cell;
}

it.each([
  ".gitea/workflows/evil.yml",
  ".github/workflows/evil.yml",
  ".forgejo/workflows/evil.yml",
  ".woodpecker.yml",
  ".drone.yml",
  "Jenkinsfile",
  ".gitlab-ci.yml",
  ".husky/pre-commit",
  ".lazarus.yml",
  "docs/CODEOWNERS",
])("holds back what a fork brought below the base: %s", async (path) => {
  const cell = await worked({ [path]: "evil\n" });
  const harvest = await rig.collect(cell, 1, [], FORK());
  expect(harvest.protectedPaths).toEqual([
    "1 commit of dev/app come with it: CI here would run what they say, with its secrets",
    `${path} decides what runs next`,
  ]);
  // The director who decides sees what the fork brought, and what the agent made.
  expect(harvest.diff).toContain(path);
  expect(harvest.diff).toContain("mine.txt");
  expect(harvest).toMatchObject({ changed: true, commitCount: 1, files: 1, forbidden: [] });
});

it("holds back what looks harmless as well: a script that the target's own CI runs", async () => {
  const cell = await worked({ "test.sh": "evil\n" });
  const { protectedPaths } = await rig.collect(cell, 1, [], FORK());
  expect(protectedPaths).toEqual([expect.stringMatching(/^1 commit of dev\/app come with it/)]);
});

it("holds back nothing where the fork brought nothing, and nothing of what the target has already", async () => {
  const cell = await worked({});
  expect((await rig.collect(cell, 1, [], FORK())).protectedPaths).toEqual([]);
  const other = await worked({ ".gitea/workflows/evil.yml": "evil\n" });
  expect((await rig.collect(other, 1, [], { ...FORK(), commit: head })).protectedPaths).toEqual([]);
});

it.each<[string, () => Promise<Fork>]>([
  ["nobody wrote down where the target stood", async () => ({ ...FORK(), commit: null })],
  ["the target's base is gone", async () => ({ ...FORK(), commit: "1".repeat(40) })],
])("holds back all of it where %s", async (_, fork) => {
  const cell = await worked({ ".gitea/workflows/evil.yml": "evil\n" });
  const { protectedPaths } = await rig.collect(cell, 1, [], await fork());
  expect(protectedPaths[0]).toMatch(
    /^(commits of dev\/app come with it, nobody can tell which|2 commits of dev)/,
  );
  expect(protectedPaths).toContain(".gitea/workflows/evil.yml decides what runs next");
});

it("names every issue that a message would close, the fork's as well", async () => {
  const cell = await worked({ "test.sh": "x\n" });
  rig.inWorktree(cell, "git commit -q --allow-empty -m 'fixes #3, closes #4'");
  const own = await rig.collect(cell);
  expect(own.closing).toEqual([expect.stringMatching(/^[0-9a-f]{10}: fixes #3, closes #4$/)]);
  const fixing = await writeCommit(rig.forgeRepository, {
    ...{ parent: head, files: { "b.txt": "b\n" }, message: "theirs, fixes #1\n" },
    author: { name: "Eve", email: "eve@example.org" },
  });
  await git(rig.forgeRepository, ["update-ref", "refs/pull/7/head", fixing]);
  const other = rig.spec(fixing, { baseRef: "refs/pull/7/head" });
  await rig.runToEnd(other);
  rig.inWorktree(other, "git commit -q --allow-empty -m mine");
  expect((await rig.collect(other, 1, [], FORK())).closing).toEqual([
    expect.stringMatching(/^[0-9a-f]{10}: fixes #1$/),
  ]);
});
