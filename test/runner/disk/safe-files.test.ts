import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDirectory, writeWhole } from "../../../src/runner/disk/safe-files.ts";
import { clearFresh } from "../../../src/runner/seal/manifest.ts";
import { callsDuring } from "../../fakes/calls-during.ts";

it("clears away what a killed writer left, and not what a living one writes just now", async () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-inside-"));
  const living = spawn("sleep", ["60"]);
  const dead = spawn("true");
  try {
    await once(dead, "exit");
    for (const { pid } of [living, dead]) writeFileSync(join(dir, `.a.json.${pid}.1`), "{");
    const directory = await openDirectory(dir);
    await writeWhole(directory, "a.json", "{}");
    await directory.close();
    expect(readdirSync(dir).sort()).toEqual([`.a.json.${living.pid}.1`, "a.json"]);
  } finally {
    living.kill();
    rmSync(dir, { recursive: true });
  }
});

/** Makes so many files there. */
function crowd(dir: string, names: number): void {
  mkdirSync(dir, { recursive: true });
  for (let n = 0; n < names; n++) writeFileSync(join(dir, String(n)), "");
}

it("does not go through all that an agent put beside a file that is written", async () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-inside-"));
  crowd(dir, 20_000);
  const directory = await openDirectory(dir);
  const calls = await callsDuring(() => writeWhole(directory, "a.json", "{}"));
  await directory.close();
  rmSync(dir, { recursive: true });
  // 64 names in one call.
  expect(calls).toBeLessThan(200);
});

it("clears a seal that never became whole without going through what lies in its place", async () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-inside-"));
  crowd(join(dir, "cell.tar.gz.new"), 1_000);
  const archive = await openDirectory(dir);
  expect(await callsDuring(() => clearFresh(archive))).toBeLessThan(50);
  await archive.close();
  expect(readdirSync(dir)).toEqual([]);
  rmSync(dir, { recursive: true });
});
