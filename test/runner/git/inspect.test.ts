import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../../src/protocol/shapes.ts";
import { createRedactor } from "../../../src/redact.ts";
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
      ".gitattributes changes filter: by such attributes git runs programs, or rewrites files",
      ".gitea/workflows/ci.yml decides what runs next",
      ".woodpecker.yml decides what runs next",
      "lazarus.yml decides what runs next",
      "sub/.gitmodules decides what runs next",
    ].toSorted(),
  );
  expect(harvest.forbidden).toEqual([]);
});

it.each([
  ["a link above a protected file", "ln -s evil docs", "docs is a link"],
  ["a protected name that is a link", "ln -s evil .gitea", ".gitea decides what runs next"],
  ["a directory that became a link", "git rm -qr ci; mkdir x; echo x >x/run.sh; ln -s x ci", "ci is a link"],
  ["a link that is gone", "git rm -q .github-link; ln -s x .circleci", ".circleci decides what runs next"],
  [
    "a submodule above",
    "mkdir docs; git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),docs",
    "docs is a submodule",
  ],
  ["a pattern of the operator's", "mkdir -p deploy; echo x >deploy/x", "deploy/x is protected"],
  ["a link above the operator's", "mkdir x; ln -s x deploy", "deploy is protected"],
  ["a link for a pattern at any depth", "mkdir -p a/b; ln -s /tmp a/b/db", "a/b/db is a link"],
])("names %s", async (_what, script, expected) => {
  const { publish } = rig.deps.config;
  const patterns = ["deploy/**", "**/db/*.sql", "/ci/run.sh"];
  rig.restart({ config: { ...rig.deps.config, publish: { ...publish, protected: patterns } } });
  const base = await rig.commit("links", { ".github-link": "x", "ci/run.sh": "true\n" });
  cell = rig.spec(base);
  const harvest = await inspected(`${script}; git add -A . 2>/dev/null || true; git commit -qm links`);
  expect(harvest.protectedPaths.join("\n")).toContain(expected);
});

it.each([
  ["a file", "mkdir docs; echo x > docs/a.md", "docs/a.md is not to be touched, says the proposal"],
  ["a file that is removed", "git rm -q a.txt", "a.txt is not to be touched, says the proposal"],
  ["a link in its place", "ln -s /tmp guide", "guide is not to be touched, says the proposal"],
  ["another case", "mkdir DOCS; echo x > DOCS/a.md", "DOCS/a.md is not to be touched, says the proposal"],
])("holds back what a proposal says is not to be touched: %s", async (_what, script, expected) => {
  rig.agent(`${script}; git add -A .; git commit -qm touched`);
  await rig.runToEnd(cell);
  const harvest = await rig.collect(cell, 1, [], null, [], ["docs/**", "a.txt", "guide/**"]);
  expect(harvest.protectedPaths).toContain(expected);
});

it("lets links go that lie elsewhere", async () => {
  const harvest = await inspected("mkdir src; ln -s ../a.txt src/link; git add -A; git commit -qm link");
  expect(harvest).toMatchObject({ changed: true, protectedPaths: [] });
});

const LFS = "filter=lfs diff=lfs merge=lfs -text";

it.each([
  ["behind a NUL byte", `printf '*.c text\\0\\n*.b ${LFS}\\n' >.gitattributes`, "is no text"],
  ["where a diff shows ++", `printf '++ *.b ${LFS}\\n' >.gitattributes`, "changes *.b, filter, merge"],
  [
    "in a directory that is no UTF-8",
    `d=$(printf 'd\\377'); mkdir "$d"; echo '*.b ${LFS}' >"$d/.gitattributes"`,
    "/.gitattributes changes filter, merge",
  ],
  ["after a quoted pattern", `echo '"a b" filter=x' >.gitattributes`, "changes filter"],
  ["after a quote that is none", `echo '"a filter=x" text' >.gitattributes`, null],
  ["after a quote that git cannot read", `echo '"\\z filter=x" text' >.gitattributes`, "changes filter"],
  ["in a macro", "printf '[attr]lf filter=x\\n*.c lf\\n' >.gitattributes", "changes [attr], lf"],
  ["as an unknown name", "echo '*.c lf' >.gitattributes", "changes lf"],
  [
    "that rewrite text",
    "echo '*.c ident working-tree-encoding=UTF-16' >.gitattributes",
    "changes ident, wor",
  ],
  ["that are taken away", "git rm -q sub/.gitattributes", "sub/.gitattributes changes filter"],
  ["in another order", "tac sub/.gitattributes >x; mv x sub/.gitattributes", "changes filter"],
  ["as a link", "rm .gitattributes; ln -s a.txt .gitattributes", ".gitattributes is a link"],
  ["in a huge file", "yes '*.c text' | head -c 80000 >.gitattributes", "is more than can be looked through"],
  ["named otherwise", `echo '*.b ${LFS}' >.GitAttributes`, ".GitAttributes changes filter, merge"],
  [
    "that are harmless",
    "echo '*.md text eol=lf -whitespace diff=markdown linguist-generated binary' >>.gitattributes",
    null,
  ],
  ["that are commented out", "echo '# *.b filter=x' >>.gitattributes; sed -i 's/^/ /' .gitattributes", null],
])("finds attributes %s", async (_where, script, expected) => {
  const attributes = "*.b filter=x\n*.b filter=y\n";
  cell = rig.spec(
    await rig.commit("attributes", {
      "a.txt": "a",
      ".gitattributes": "*.txt text\n",
      "sub/.gitattributes": attributes,
    }),
  );
  const harvest = await inspected(`${script}; git add -A; git commit -qm attributes`);
  expect(harvest.changed).toBe(true);
  if (expected === null) expect(harvest.protectedPaths).toEqual([]);
  else expect(harvest.protectedPaths.join("\n")).toContain(expected);
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

/** Prints a commit as git keeps it, and puts what was made of it in its place. */
const COMMIT_FILE = "echo x >x; git add -A; git commit -qm one; git cat-file commit HEAD";
const USE_COMMIT =
  "git update-ref refs/heads/$(git symbolic-ref --short HEAD) $(git hash-object -t commit -w --literally $HOME/c)";

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
  [
    "in a header that no log shows",
    `${COMMIT_FILE} | sed '/^committer/a x-note ${TOKEN}' >$HOME/c; ${USE_COMMIT}`,
  ],
  [
    "in a signature",
    `${COMMIT_FILE} | sed '/^committer/a gpgsig -----BEGIN PGP SIGNATURE-----\\n ${TOKEN}\\n -----END PGP SIGNATURE-----' >$HOME/c; ${USE_COMMIT}`,
  ],
  [
    "in a message that is said to be in another encoding",
    `${COMMIT_FILE} | sed '/^committer/a encoding IBM037' >$HOME/c; echo ${TOKEN} >>$HOME/c; ${USE_COMMIT}`,
  ],
  ["in a binary file", `printf '\\000\\001${TOKEN}\\000' >leak.bin; git add -A; git commit -qm binary`],
])("never lets a secret go %s", async (_where, script) => {
  const harvest = await inspected(script);
  expect(harvest.forbidden.join()).toMatch(/^commit [0-9a-f]{10} shows a secret that Lazarus keeps/);
  expect(JSON.stringify(harvest)).not.toContain(TOKEN);
});

it.each([
  ["three million newlines", "head -c 800000 /dev/zero | tr '\\0' '\\n'"],
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

it("knows what a home's template brings to log in with, also where it changed since the start", async () => {
  const template = join(rig.root, "template");
  mkdirSync(template);
  const credentials = (token: string) =>
    writeFileSync(join(template, ".credentials.json"), JSON.stringify({ accessToken: token }));
  credentials("the-first-one-4711-0815");
  const show = "cat $HOME/.credentials.json; cp $HOME/.credentials.json x; git add x; git commit -qm x";
  rig.agent(show, { homeTemplate: template });
  rig.restart();
  credentials("a-later-one-9812-3371");
  await rig.runToEnd(cell);
  const harvest = await rig.collect(cell);
  expect(harvest.forbidden).toEqual([expect.stringMatching(/shows a secret that Lazarus keeps/)]);
  expect(harvest.logTail).toContain('{"accessToken":"[redacted]"}');
});

it("names the variable whose value a commit shows, and no value", async () => {
  const value = "production-of-acme";
  const envSecrets = [{ name: "NODE_ENV", value }];
  const secrets = [TOKEN, value];
  const { redact } = createRedactor(secrets);
  rig.restart({ config: { ...rig.deps.config, secrets, envSecrets }, redact });
  const harvest = await inspected(
    `echo "env=${value.toUpperCase()}" >x; git add -A; git commit -qm "one"; echo ${value} >y; git add -A; git commit -qm two`,
  );
  const mark = rig.heartbeats.markOf("NODE_ENV", value);
  const hashes = harvest.commits.map(({ hash }) => hash.slice(0, 10));
  expect(harvest).toMatchObject({
    forbidden: [],
    shownSecrets: [{ name: "NODE_ENV", mark, commits: hashes }],
  });
  expect(harvest.diff).not.toContain(value);
  cell = rig.spec(base);
  const both = await inspected(`echo "${value} ${TOKEN}" >x; git add -A; git commit -qm "both"`);
  expect(both.forbidden).toEqual([expect.stringMatching(/shows a secret that Lazarus keeps/)]);
});

it("lists commit messages that would close issues", async () => {
  const harvest = await inspected(
    `for m in 'Fixes #12' 'see #13' 'closes acme/app#3, really' 'prefixes #4'; do echo "$m" >>a.txt; git commit -qam "$m"; done`,
  );
  expect(harvest.closing.map((one) => one.slice(12))).toEqual(["closes acme/app#3", "Fixes #12"]);
});
