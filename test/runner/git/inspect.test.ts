import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { isProtected } from "../../../src/runner/git/inspect.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
let base: string;
let cell: CellSpec;

beforeAll(async () => {
  rig = await createRunnerRig();
  base = await rig.commit("main", { "a.txt": "one\n", ".gitattributes": "*.txt text\n" });
});
beforeEach(() => {
  cell = rig.spec(base);
});
afterAll(() => rig.remove());

/** What is found in what an agent made that is this script. */
async function inspected(script: string) {
  rig.agent(script);
  await rig.runToEnd(cell);
  return rig.collect(cell);
}

it("names each change that decides what runs next", async () => {
  const harvest = await inspected(
    `mkdir -p .gitea/workflows .GitHub sub; echo x >.gitea/workflows/ci.yml; echo x >.GitHub/x; echo x >.woodpecker.yml
     echo x >lazarus.yml; echo x >sub/.gitmodules; echo '*.bin filter=lfs' >>.gitattributes; echo two >a.txt
     git add -A; git commit -qm "Change what runs"`,
  );
  expect(harvest.tip).not.toBeNull();
  expect(harvest.protectedPaths.toSorted()).toEqual(
    [
      ".GitHub/x decides what runs next",
      ".gitattributes names a filter, which runs programs",
      ".gitea/workflows/ci.yml decides what runs next",
      ".woodpecker.yml decides what runs next",
      "lazarus.yml decides what runs next",
      "sub/.gitmodules decides what runs next",
    ].toSorted(),
  );
  expect(harvest.forbidden).toEqual([]);
});

it("finds nothing in ordinary work", async () => {
  const harvest = await inspected(
    "echo two >a.txt; echo '*.md text' >>.gitattributes; git commit -qam 'Say two (#3)'",
  );
  expect(harvest).toMatchObject({
    changed: true,
    protectedPaths: [],
    forbidden: [],
    closing: [],
    heldBack: [],
  });
});

it.each([
  ["in a file", `echo 'token: ${TOKEN}' >leak.txt; git add -A; git commit -qm leak`],
  [
    "that a later commit removed",
    `echo '${TOKEN}' >leak; git add -A; git commit -qm one; git rm -q leak; git commit -qm two`,
  ],
  ["in base64", `printf 'xx%s' '${TOKEN}' | base64 -w0 >leak; git add -A; git commit -qm leak`],
  [
    "over two lines",
    `printf '%s\\n    %s\\n' '${TOKEN.slice(0, 9)}' '${TOKEN.slice(9)}' >leak; git add -A; git commit -qm leak`,
  ],
  ["in a commit's message", `echo x >x; git add -A; git commit -qm 'with ${TOKEN}'`],
  ["in the name of a file", `echo x >'${TOKEN}.txt'; git add -A; git commit -qm name`],
  [
    "in an author's name",
    `echo x >x; git add -A; git -c user.name=x commit -qm name --author='${TOKEN} <a@b.c>'`,
  ],
  ["in a binary file", `printf '\\000\\001${TOKEN}\\000' >leak.bin; git add -A; git commit -qm binary`],
])("never lets a secret go %s", async (_where, script) => {
  const harvest = await inspected(script);
  expect(harvest.forbidden.join()).toMatch(/^commit [0-9a-f]{10} shows a secret that Lazarus keeps/);
  expect(JSON.stringify(harvest)).not.toContain(TOKEN);
});

it.each([
  ["three million newlines", "head -c 3000000 /dev/zero | tr '\\0' '\\n'"],
  ["ten million backslashes", "head -c 10000000 /dev/zero | tr '\\0' '\\134'"],
])("has a child look through %s", async (_what, text) => {
  rig.agent(`{ ${text}; echo '${TOKEN}'; } >text; git add text; git commit -qm text`);
  await rig.runToEnd(cell);
  const [cpu, began] = [process.cpuUsage(), performance.now()];
  const harvest = await rig.collect(cell);
  const { user, system } = process.cpuUsage(cpu);
  expect(harvest.forbidden).toEqual([expect.stringMatching(/^commit [0-9a-f]{10} shows a secret/)]);
  // This process waits for others most of the time.
  expect((user + system) / 1_000 / (performance.now() - began)).toBeLessThan(0.5);
});

it("holds back what is more than can be looked through, and what is said at too great a length", async () => {
  const big = await inspected("head -c 70000000 /dev/urandom | base64 >big; git add big; git commit -qm big");
  expect(big.forbidden).toEqual(["there is more than can be looked through for secrets"]);
  cell = rig.spec(base);
  const long = await inspected(
    "head -c 9000000 /dev/zero | tr '\\0' a >$HOME/m; echo x >x; git add x; git commit -qF $HOME/m",
  );
  expect(long).toMatchObject({
    changed: true,
    heldBack: ["measuring what a cell made: there is more than 8 MB of it to look through"],
  });
});

it("lists commit messages that would close issues", async () => {
  const harvest = await inspected(
    `for m in 'Fixes #12' 'see #13' 'closes acme/app#3, really' 'prefixes #4'; do echo "$m" >>a.txt; git commit -qam "$m"; done`,
  );
  expect(harvest.closing.map((one) => one.slice(12))).toEqual(["closes acme/app#3", "Fixes #12"]);
});

it.each([
  [".github/workflows/x.yml", true],
  [".Forgejo/x", true],
  [".woodpecker/a.yaml", true],
  ["Lazarus.yaml", true],
  ["docs/.github/x", false],
  ["src/lazarus.yml", false],
  [".gitignore", false],
  ["a/.gitmodules", true],
  [".lazarus.yml", true],
  [".Lazarus.YAML", true],
  ["sub/.lazarus.yml", false],
])("tells by its name whether %s is protected: %s", (path, expected) => {
  expect(isProtected(path)).toBe(expected);
});
