import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { diskUse } from "../../../src/runner/health/disk-use.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-use-"));
  for (const name of ["worktree", "home", "artifacts"]) mkdirSync(join(dir, name));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it("counts what lies on disk, and an empty file as one that is not", async () => {
  const before = (await diskUse(dir))?.bytes ?? 0;
  for (let n = 0; n < 500; n++) writeFileSync(join(dir, "home", `${n}`), "");
  // 500 files and four directories; `du` alone sees a directory that has grown a little.
  expect((await diskUse(dir))?.bytes).toBeGreaterThanOrEqual(503 * 4_096);
  expect(before).toBeLessThan(100_000);
  writeFileSync(join(dir, "artifacts", "large"), Buffer.alloc(8 * 1024 ** 2, 1));
  expect((await diskUse(dir))?.bytes).toBeGreaterThanOrEqual(8 * 1024 ** 2);
});

it("knows when the worktree changed, and nothing of a cell that is gone", async () => {
  expect((await diskUse(dir))?.changedAt).toBeGreaterThan(Date.now() - 60_000);
  rmSync(dir, { recursive: true });
  expect(await diskUse(dir)).toMatchObject({ changedAt: null });
});
