import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { CellSpec } from "../../src/protocol/shapes.ts";
import { type CellUsers, createCellUsers } from "../../src/runner/cell-users.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "lazarus-users-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const RANGE = { first: 700_000, last: 700_004 };
/** As after a restart: what is known is what was written. */
const users = (asRoot = true) => createCellUsers({ dataDir, range: RANGE, asRoot });
const at = (id: number) => ({ id, fullName: "acme/app" });

function job(kind: "start" | "spare", id: string, repository: number): Parameters<CellUsers["give"]>[0] {
  const payload =
    kind === "start"
      ? { cell: { id, repository: at(repository), user: null } as unknown as CellSpec, run: 1 }
      : { cellId: id, repository: at(repository), user: null, ref: "refs/heads/main", commit: "0" };
  return { id: "1", kind, key: "1", payload, attempt: 1 } as Parameters<CellUsers["give"]>[0];
}

function given(kind: "start" | "spare", id: string, repository = 7, asRoot = true): unknown {
  const { payload } = users(asRoot).give(job(kind, id, repository));
  return "cell" in payload ? payload.cell.user : "user" in payload ? payload.user : undefined;
}

it("gives each cell a user of its own, in the group of its repository, also after a restart", () => {
  expect(given("start", "a")).toEqual({ uid: 700_001, gid: 700_001, groups: [700_000] });
  expect(given("start", "b")).toEqual({ uid: 700_002, gid: 700_002, groups: [700_000] });
  expect(given("start", "a")).toEqual({ uid: 700_001, gid: 700_001, groups: [700_000] });
  users().release("a");
  expect(given("start", "c", 8)).toEqual({ uid: 700_004, gid: 700_004, groups: [700_003] });
  expect(users().shortage()).toMatch(/no user is left for another cell, all of 700000-700004/);
  expect(given("start", "d", 8)).toMatchObject({ uid: 700_001 });
  expect(() => given("start", "e", 8)).toThrow(/no user is left/);
  expect(given("start", "e", 8, false)).toBeNull();
});

it("knows the next cell's before it is made, and gives it once nothing is at work for it any more", () => {
  given("start", "a");
  expect(given("spare", "a")).toEqual({ uid: 700_002, gid: 700_002, groups: [700_000] });
  expect(given("start", "b")).toMatchObject({ uid: 700_003 });
  expect(given("spare", "b")).toMatchObject({ uid: 700_002 });
  users().spareIsMade("a");
  expect(given("start", "c")).toMatchObject({ uid: 700_004 });
  users().release("c");
  users().spareIsMade("b");
  expect(given("start", "d")).toMatchObject({ uid: 700_002 });
});

it("gives a number that only a tree waits for to another repository's cell where no other is left", () => {
  given("start", "a");
  given("spare", "a");
  users().spareIsMade("a");
  expect(given("start", "b", 8)).toMatchObject({ uid: 700_004, groups: [700_003] });
  expect(given("start", "c", 8)).toMatchObject({ uid: 700_002 });
});

it("has none for a tree without root, nor of a repository that no cell is of", () => {
  expect(given("spare", "a")).toBeNull();
  given("start", "a", 7, false);
  expect(given("spare", "a", 7, false)).toBeNull();
});
