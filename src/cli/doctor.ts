import type { Command } from "commander";
import type { StoredAnswer } from "../commands/posting/answer.ts";
import type { Config } from "../config/config.ts";
import { examine } from "../doctor/doctor.ts";
import { lineOfFinding } from "../doctor/finding.ts";
import { mend } from "../doctor/mend.ts";
import { EXIT } from "./exit-codes.ts";

interface DoctorTerminal {
  load(): Config;
  isJson(): boolean;
  write(text: string): void;
  /** Prints, and sets the exit code. */
  print(answer: StoredAnswer): void;
}

/** Adds `doctor`. */
export function addDoctor(program: Command, terminal: DoctorTerminal): void {
  program
    .command("doctor")
    .description(
      "looks for what is missing on this machine and on the forge, and lets an agent try to get out of its cell",
    )
    .option("--fix", "first mends what setup can: modes of files with secrets, hooks and labels")
    .addHelpText(
      "after",
      "\nExamples:\n  lazarus doctor\n  lazarus doctor --fix\n  lazarus --config /etc/lazarus/lazarus.yaml doctor --json",
    )
    .action(async ({ fix }: { fix?: boolean }) => {
      const mended = fix === true ? await mend(terminal.load()) : [];
      const findings = await examine(terminal.load);
      const exitCode = findings.every((one) => one.level !== "FAIL") ? 0 : EXIT.failed;
      const data = fix === true ? { mended, findings } : { findings };
      if (terminal.isJson()) return terminal.print({ exitCode, text: "", data });
      terminal.write([...mended.map((line) => `${line}\n`), ...findings.map(lineOfFinding)].join(""));
      process.exitCode = exitCode;
    });
}
