import type { StatsFs } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import { explain, systemCode } from "../errors.ts";
import { formatSize } from "../units.ts";
import { type Finding, finding } from "./finding.ts";

/** Below this share of `limits.free` more than is free, it is said before cells are refused. */
const SOON = 1.5;
/** A clone makes thousands of files. */
const FEWEST_INODES = 20_000;

/** Space and inodes at data and missions, against `limits.free`. Silent where a directory is missing. */
export async function examineDisk({ dataDir, missionsDir, limits }: Config): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, dir] of [
    ["data", dataDir],
    ["missions", missionsDir],
  ] as const) {
    const what = `disk at ${name}`;
    let seen: StatsFs;
    try {
      seen = await statfs(dir);
    } catch (error) {
      // A directory that is missing is said elsewhere.
      if (systemCode(error) !== "ENOENT")
        findings.push(finding("warn", what, `how much is free at ${dir} cannot be told: ${explain(error)}`));
      continue;
    }
    const free = seen.bavail * seen.bsize;
    const said = `${formatSize(free)} free at ${dir}, limits.free is ${formatSize(limits.freeBytes)}`;
    const cure = "lazarus status --all shows cells to destroy; limits.keep says how long archives stay";
    if (free < limits.freeBytes) findings.push(finding("FAIL", what, `${said}, so no cell starts: ${cure}`));
    else if (free < SOON * limits.freeBytes) findings.push(finding("warn", what, `${said}: ${cure}`));
    else findings.push(finding("ok", what, said));
    // Some file systems count none.
    if (seen.files > 0 && seen.ffree < FEWEST_INODES)
      findings.push(
        finding(
          "warn",
          what,
          `${seen.ffree} inodes are left at ${dir}, and one clone takes thousands: ${cure}`,
        ),
      );
  }
  return findings;
}
