import { resolve } from "node:path";
import type { Command } from "commander";
import { backup } from "../backup/backup.ts";
import { restore } from "../backup/restore.ts";
import { systemClock } from "../clock.ts";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { placeOfSeals } from "../config/seals.ts";
import { LazarusError } from "../errors.ts";
import { VERSION } from "./version.ts";

interface BackupTerminal {
  load(): Config;
  print(answer: StoredAnswer): void;
}

/** Adds `backup` and `restore`. */
export function addBackup(program: Command, { load, print }: BackupTerminal): void {
  program
    .command("backup")
    .description("writes registry, mirrors and cells into one file, also under a running server")
    .argument("<file>", "nothing lies there yet; such as lazarus-2026-11-28.tar.gz")
    .option("--without-cells", "the registry alone, without mirrors and the cells' directories")
    .option("--keep <n>", "afterwards keeps the newest n files whose names differ in digits only")
    .addHelpText(
      "after",
      "\nExamples:\n  lazarus backup /var/backups/lazarus-2026-11-28.tar.gz --keep 7\n  lazarus --json backup small.tar.gz --without-cells",
    )
    .action(async (file: string, flags: { withoutCells?: boolean; keep?: string }) => {
      const config = load();
      const result = await backup({
        ...{ config, file: resolve(file), withoutCells: flags.withoutCells === true },
        ...{ keep: count(flags.keep), version: VERSION, now: systemClock.now() },
      });
      const removed = result.removed.length === 0 ? "" : `, ${result.removed.length} older removed`;
      const text = `${result.file}: ${Math.ceil(result.bytes / 1024)} KB, ${result.cells} cells${removed}`;
      const place = placeOfSeals(config.seals);
      const seals = place === null ? "" : `; the seals in ${place} are not in it: copy them too`;
      print({
        exitCode: 0,
        text: `${text}${seals}`,
        data: { ...result, seals_not_included: place },
      });
    });
  program
    .command("restore")
    .description("puts a backup into an empty data directory")
    .argument("<file>", "that lazarus backup wrote")
    .option("--check", "only looks whether it is whole, and changes nothing")
    .addHelpText(
      "after",
      "\nExamples:\n  lazarus restore lazarus-2026-11-28.tar.gz --check\n  lazarus --config /etc/lazarus/lazarus.yaml restore lazarus-2026-11-28.tar.gz",
    )
    .action(async (file: string, flags: { check?: boolean }) => {
      const isCheck = flags.check === true;
      const result = await restore({ config: load(), file: resolve(file), isCheck, now: systemClock.now() });
      const what = `of ${result.at}, by Lazarus ${result.version}, schema ${result.schema}, ${result.cells} cells`;
      const next =
        "What people typed since then is not run. Put the secrets of the configuration back, then: lazarus doctor, lazarus serve";
      print({
        exitCode: 0,
        text: isCheck ? `It is whole: ${what}` : `Restored: ${what}. ${next}`,
        data: result,
      });
    });
}

function count(text: string | undefined): number | null {
  if (text === undefined) return null;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new LazarusError("usage", `--keep: ${text} is not a whole number from 1 on`);
}
