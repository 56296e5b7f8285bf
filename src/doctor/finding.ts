/** What was looked at, how it is, and what to do where it is not well. */
export interface Finding {
  readonly level: "ok" | "warn" | "FAIL";
  readonly what: string;
  readonly detail: string;
}

/** The same from its parts. */
export function finding(level: Finding["level"], what: string, detail: string): Finding {
  return { level, what, detail };
}

/** One line of the list that people read. */
export function lineOfFinding({ level, what, detail }: Finding): string {
  return `${level.padEnd(4)}  ${what.padEnd(24)}  ${detail}\n`;
}
