import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { entriesOf } from "../../../src/runner/disk/entries-of.ts";
import { openDirectory } from "../../../src/runner/disk/safe-files.ts";

const NAMES = 4_000;

it("reads a directory piece by piece: what is gone by then was in nobody's memory", async () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-names-"));
  for (let n = 0; n < NAMES; n++) writeFileSync(join(dir, `${n}`.padEnd(200, "x")), "");
  const directory = await openDirectory(dir);
  let seen = 0;
  for await (const _ of entriesOf(directory))
    if (++seen === 1) execFileSync("find", [dir, "-type", "f", "-delete"]);
  // The system itself reads some hundred names ahead.
  expect(seen).toBeGreaterThan(0);
  expect(seen).toBeLessThan(NAMES / 4);
  await directory.close();
  rmSync(dir, { recursive: true });
});
