import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openDirectory, writeWhole } from "../../../src/runner/disk/safe-files.ts";

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
