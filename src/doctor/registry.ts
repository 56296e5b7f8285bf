import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import { inspectDb, peekFact, peekJobs } from "../store/db.ts";
import { LAST_BACKUP } from "../store/last-backup.ts";
import { MIGRATIONS } from "../store/migrations.ts";
import { formatAge } from "../units.ts";
import { type Finding, finding } from "./finding.ts";

const OLD_JOB_MS = 300_000;
const OLD_BACKUP_MS = 7 * 86_400_000;
const WHAT = "registry";

/**
 * The registry as it lies there, read and nothing else: whole, of which schema, what is stuck, when saved.
 */
export function examineRegistry({ dataDir }: Pick<Config, "dataDir">): Finding[] {
  const path = join(dataDir, "lazarus.db");
  if (!existsSync(path)) return [finding("ok", WHAT, "there is none yet: the first start makes it")];
  try {
    const { schema, check } = inspectDb(path);
    if (check !== "ok")
      return [
        finding(
          "FAIL",
          WHAT,
          `${path} is damaged (${check}): stop the server, move data away, and lazarus restore the last backup`,
        ),
      ];
    const findings = [aboutSchema(schema)];
    if (schema <= MIGRATIONS.length) findings.push(...aboutJobs(path));
    return [...findings, aboutBackup(path)];
  } catch (error) {
    return [finding("FAIL", WHAT, explain(error))];
  }
}

function aboutSchema(schema: number): Finding {
  const known = MIGRATIONS.length;
  if (schema > known)
    return finding(
      "FAIL",
      WHAT,
      `a newer Lazarus wrote it (schema ${schema}, this one knows ${known}): install that version`,
    );
  if (schema < known)
    return finding("ok", WHAT, `whole; the next start brings schema ${schema} to ${known}, and keeps a copy`);
  return finding("ok", WHAT, `whole, schema ${schema}`);
}

function aboutJobs(path: string): Finding[] {
  const now = systemClock.now();
  const { dead, dueSince } = peekJobs(path, now);
  const waits = dueSince === null ? 0 : now - dueSince;
  const findings: Finding[] = [];
  if (dead > 0)
    findings.push(
      finding("warn", "jobs", `${dead} dead: lazarus jobs shows why, lazarus jobs retry ID tries one again`),
    );
  if (waits > OLD_JOB_MS)
    findings.push(
      finding(
        "warn",
        "jobs",
        `the oldest is due for ${formatAge(waits)}: is lazarus serve running? its log says why`,
      ),
    );
  return findings.length > 0 ? findings : [finding("ok", "jobs", "none is dead, none waits long")];
}

function aboutBackup(path: string): Finding {
  const at = peekFact(path, LAST_BACKUP);
  const cure = "lazarus backup FILE makes one under a running server (docs/backup.md)";
  if (at === null) return finding("warn", "backup", `none was made yet: ${cure}`);
  const age = systemClock.now() - Number(at);
  const said = `the last one is ${formatAge(age)} old`;
  return age > OLD_BACKUP_MS ? finding("warn", "backup", `${said}: ${cure}`) : finding("ok", "backup", said);
}
