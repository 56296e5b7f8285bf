import { LazarusError } from "../errors.ts";

/**
 * Everything that is wrong with the configuration, each with its path in the file and what would be right;
 * exit code 2.
 */
export class ConfigFault extends LazarusError {
  override readonly name = "ConfigFault";
  readonly faults: readonly string[];
  /** Where they stand; null: there is no file. */
  readonly file: string | null;

  constructor(file: string | null, faults: readonly string[]) {
    super("configuration", `reading ${file ?? "the configuration (there is no file)"}: ${faults.join("; ")}`);
    this.faults = faults;
    this.file = file;
  }

  /** Each fault with the file that it stands in. */
  lines(): string[] {
    const { file, faults } = this;
    return faults.map((fault) => (file === null || fault.startsWith(file) ? fault : `${file}: ${fault}`));
  }
}
