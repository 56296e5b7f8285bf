import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { needs } from "./machine.ts";

const CONTRIB = resolve(import.meta.dirname, "../contrib");
const units = readdirSync(CONTRIB).filter((name) => /\.(service|timer)$/.test(name));

it("there is a unit for the server, the pit, a runner, and each night's backup", () => {
  expect(units.sort()).toEqual([
    "lazarus-backup.service",
    "lazarus-backup.timer",
    "lazarus-pit.service",
    "lazarus-runner.service",
    "lazarus.service",
  ]);
});

it.each(units)("%s is one that systemd takes", needs("systemd-analyze"), (name) => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-units-"));
  try {
    for (const unit of units) copyFileSync(join(CONTRIB, unit), join(dir, unit));
    const shown = name.replace("@.", "@gpu1.");
    if (shown !== name) copyFileSync(join(dir, name), join(dir, shown));
    const words = ["verify", "--man=no", "--recursive-errors=no", join(dir, shown)];
    const { stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
    // Only systemd 254 and newer know it; the unit says so.
    const said = stderr.split("\n").filter((line) => line !== "" && !line.includes("'DelegateSubgroup'"));
    expect(said).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
