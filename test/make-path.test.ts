import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makePath } from "../src/make-path.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-path-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

it("makes what is missing, and leaves what is there", () => {
  const path = join(dir, "a", "b", "c");
  makePath(path, 0o700);
  expect([path, join(dir, "a")].map((one) => statSync(one).mode & 0o777)).toEqual([0o700, 0o700]);
  makePath(path, 0o711);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  symlinkSync(path, join(dir, "link"));
  makePath(join(dir, "link", "d"), 0o700);
  makePath("/", 0o700);
});

it.each([
  ["a file", "EEXIST", () => join(dir, "file")],
  ["something below a file", "ENOTDIR", () => join(dir, "file", "a", "b")],
  ["a file system that makes none, in which Node's own never ends", "ENOENT", () => "/proc/nowhere/a"],
])("refuses %s with %s", (_, code, path) => {
  writeFileSync(join(dir, "file"), "");
  expect(() => makePath(path(), 0o700)).toThrowError(expect.objectContaining({ code }));
});
