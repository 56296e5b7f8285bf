import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { throwWhereFull } from "../../../src/runner/disk/full-disk.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-full-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const SAYS = "fatal: write error: No space left on device";
const look = (code: number, stderr: string) =>
  throwWhereFull({ code, stderr }, { doing: "sealing", places: [dir], freeBytes: 0 });

it("is no reason where there is room, whatever a child says that works on what an agent made", async () => {
  await expect(look(1, SAYS)).resolves.toBeUndefined();
});

it("is the reason where there is no room, also without a word, and not where all went well", async ({
  skip,
}) => {
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir]).status !== 0)
    skip("a file system of its own");
  try {
    const isFull = { code: "disk-full", message: "sealing: no space left on the device", retryable: true };
    await expect(look(1, "")).resolves.toBeUndefined();
    await expect(look(1, SAYS)).rejects.toMatchObject(isFull);
    const { bavail, bsize } = statfsSync(dir);
    writeFileSync(join(dir, "taken"), Buffer.alloc(bavail * bsize));
    await expect(look(1, "")).rejects.toMatchObject(isFull);
    await expect(look(0, "")).resolves.toBeUndefined();
  } finally {
    execFileSync("umount", ["-l", dir]);
  }
});
