import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createGit } from "../../../src/runner/git/git.ts";
import { createMirrors, type Mirrors } from "../../../src/runner/git/mirror.ts";
import { git } from "../../fakes/forge/git.ts";
import { createRunnerRig, type RunnerRig, TOKEN } from "../../fakes/runner-rig.ts";

let rig: RunnerRig;
const repository = { id: 7, fullName: "acme/app" };
const never = new AbortController().signal;

beforeEach(async () => {
  rig = await createRunnerRig();
});
afterEach(() => rig.remove());

function openMirrors(mostMs = 60_000, fileBytes = 1024 ** 3): Mirrors {
  const home = join(rig.root, "empty");
  mkdirSync(home, { recursive: true });
  const remote = { url: rig.server.url, token: TOKEN, caFile: null, proxyEnv: {} };
  const tool = createGit({
    home,
    path: process.env.PATH ?? "",
    remote,
    redact: (text) => text,
    limits: { memoryBytes: 1024 ** 3, fileBytes, mostMs: 60_000 },
  });
  return createMirrors({
    dir: join(rig.data, "mirrors"),
    forgeUrl: rig.server.url,
    git: tool,
    mostMs,
  });
}

function fetches(): number {
  return rig.server.requests.filter((request) => request.line.includes("info/refs")).length;
}

it("fetches once for all who ask before the fetch begins, and once more for who asked during it", async () => {
  const mirrors = openMirrors();
  const first = await rig.commit("main", { a: "1" });
  const want = (commit: string) =>
    mirrors.provide(repository, { commit, ref: "refs/heads/main", group: null }, never);
  await Promise.all([want(first), want(first), want(first)]);
  expect(fetches()).toBe(1);

  const second = await rig.commit("main", { a: "2" });
  let open = () => {};
  rig.server.gate = new Promise((resolve) => {
    open = resolve;
  });
  const running = want(second);
  await expect.poll(fetches).toBe(2);
  const third = await rig.commit("main", { a: "3" });
  const late = [want(third), want(third)];
  open();
  await Promise.all([running, ...late]);
  expect(fetches()).toBeLessThanOrEqual(3);
});

it("is of another generation once a fetch has begun, and once it has ended", async () => {
  const mirrors = openMirrors();
  const want = (commit: string) =>
    mirrors.provide(repository, { commit, ref: "refs/heads/main", group: null }, never);
  const first = await rig.commit("main", { a: "1" });
  await want(first);
  const before = mirrors.generation(repository);
  await want(first);
  expect(mirrors.generation(repository)).toBe(before);
  const second = await rig.commit("main", { a: "2" });
  let open = () => {};
  rig.server.gate = new Promise((resolve) => {
    open = resolve;
  });
  const running = want(second);
  await expect.poll(fetches).toBe(2);
  const underWay = mirrors.generation(repository);
  open();
  await running;
  expect([underWay, mirrors.generation(repository)]).toEqual([before + 1, before + 2]);
});

it("brings the commit of a pull request's ref, and does not mind others that are gone", async () => {
  const mirrors = openMirrors();
  await rig.commit("main", { a: "1" });
  const head = await rig.commit("side", { a: "2" });
  await git(rig.forgeRepository, ["update-ref", "refs/pull/5/head", head]);
  await git(rig.forgeRepository, ["update-ref", "-d", "refs/heads/side"]);
  const gone = mirrors.provide(
    repository,
    { commit: "e".repeat(40), ref: "refs/pull/6/head", group: null },
    never,
  );
  const there = mirrors.provide(repository, { commit: head, ref: "refs/pull/5/head", group: null }, never);
  await expect(gone).rejects.toMatchObject({ code: "git", retryable: false });
  await there;
});

it("waits for no pull request's ref without end, and says so to who asked", async () => {
  const mirrors = openMirrors(1_000);
  const main = await rig.commit("main", { a: "1" });
  await mirrors.provide(repository, { commit: main, ref: "refs/heads/main", group: null }, never);
  const head = await rig.commit("side", { a: "2" });
  await git(rig.forgeRepository, ["update-ref", "refs/pull/5/head", head]);
  await git(rig.forgeRepository, ["update-ref", "-d", "refs/heads/side"]);
  const want = { commit: head, ref: "refs/pull/5/head", group: null };
  // The branches are sent, and then nothing more.
  const branches = fetches() + 1;
  rig.server.fault = () => fetches() > branches;
  const asked = mirrors.provide(repository, want, never);
  await expect(asked).rejects.toMatchObject({ code: "over-limit", retryable: false });
  rig.server.fault = null;
  await openMirrors().provide(repository, want, never);
});

it("keeps a base that the forge deleted, and removes the locks of a killed fetch", async () => {
  const commit = await rig.commit("side", { a: "2" });
  await rig.commit("main", { a: "1" });
  const before = openMirrors();
  const path = await before.provide(repository, { commit, ref: "refs/heads/side", group: null }, never);
  await before.keep(repository, "cell", commit);
  await git(rig.forgeRepository, ["update-ref", "-d", "refs/heads/side"]);
  for (const lock of ["packed-refs.lock", "refs/heads/main.lock", "config.lock"])
    writeFileSync(join(path, lock), "");

  const after = openMirrors();
  const main = await rig.commit("main", { a: "3" });
  await after.provide(repository, { commit: main, ref: "refs/heads/main", group: null }, never);
  expect(await git(path, ["for-each-ref", "--format=%(refname)"])).toBe(
    "refs/heads/main\nrefs/lazarus/cell/base",
  );
  const settings = (await git(path, ["config", "--list", "--local"])).split("\n");
  expect(settings).toEqual(
    expect.arrayContaining([
      ...["core.bare=true", "gc.auto=0", "gc.pruneexpire=never", "maintenance.auto=false"],
      ...["core.hookspath=/dev/null", "fetch.writecommitgraph=false"],
    ]),
  );
  await after.release(repository, "cell");
  expect(await git(path, ["for-each-ref", "refs/lazarus"])).toBe("");
});

it("stops waiting when it is told to, while others go on", async () => {
  const mirrors = openMirrors();
  const commit = await rig.commit("main", { a: "1" });
  let open = () => {};
  rig.server.gate = new Promise((resolve) => {
    open = resolve;
  });
  const abort = new AbortController();
  const impatient = mirrors.provide(
    repository,
    { commit, ref: "refs/heads/main", group: null },
    abort.signal,
  );
  const patient = mirrors.provide(repository, { commit, ref: "refs/heads/main", group: null }, never);
  await expect.poll(fetches).toBe(1);
  abort.abort(new Error("enough"));
  await expect(impatient).rejects.toThrow("enough");
  open();
  await patient;
});

it("refuses refs and commits that are none", async () => {
  const mirrors = openMirrors();
  for (const [commit, ref] of [
    ["--upload-pack=x", "refs/heads/main"],
    ["a".repeat(40), "--exec"],
    ["a".repeat(40), "refs/heads/a:refs/heads/b"],
  ] as const) {
    await expect(mirrors.provide(repository, { commit, ref, group: null }, never)).rejects.toMatchObject({
      code: "internal",
    });
  }
});

it("takes in no pack that is larger than a file may be, says so for good, and leaves nothing of it", async () => {
  const mirrors = openMirrors(60_000, 1024 ** 2);
  const commit = await rig.commit("main", { large: randomBytes(1024 ** 2).toString("base64") });
  const want = { commit, ref: "refs/heads/main", group: null };
  await expect(mirrors.provide(repository, want, never)).rejects.toMatchObject({
    ...{ code: "over-limit", retryable: false },
    message: "fetching acme/app: it writes a file of more than 1 MB (limits.disk)",
  });
  expect(readdirSync(join(mirrors.path(repository), "objects", "pack"))).toEqual([]);
});
