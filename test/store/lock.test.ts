import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { prepareDataDir, takeLock } from "../../src/store/lock.ts";
import { IS_ROOT } from "../fakes/uids.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-lock-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("is held by one, and free again when that one lets go", () => {
  const first = takeLock(dir);
  expect(first).not.toBeNull();
  expect(takeLock(dir)).toBeNull();
  first?.release();
  const second = takeLock(dir);
  expect(second).not.toBeNull();
  second?.release();
});

it("says what is wrong with a lock file that is none", () => {
  mkdirSync(join(dir, "lock.db"));
  expect(() => takeLock(dir)).toThrow(expect.objectContaining({ code: "registry-unusable" }));
});

it("makes the data directory for its owner alone, as root to be passed through", () => {
  prepareDataDir(join(dir, "a/data"));
  expect(statSync(join(dir, "a/data")).mode & 0o777).toBe(IS_ROOT ? 0o711 : 0o700);
  chmodSync(join(dir, "a/data"), 0o755);
  prepareDataDir(join(dir, "a/data"));
});

it("names the key of a data directory that cannot be made", () => {
  writeFileSync(join(dir, "file"), "");
  expect(() => prepareDataDir(join(dir, "file/data"))).toThrow("(data in lazarus.yaml)");
});
