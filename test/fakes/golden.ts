import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect } from "vitest";

const DIR = resolve(import.meta.dirname, "../golden");

/**
 * Compares what users will read with `test/golden/<name>.md`; `UPDATE_GOLDEN=1` writes it anew, to be
 * reviewed as prose.
 */
export function expectGolden(name: string, text: string): void {
  const path = join(DIR, `${name}.md`);
  if (process.env.UPDATE_GOLDEN === "1") {
    mkdirSync(DIR, { recursive: true });
    writeFileSync(path, `${text}\n`);
  }
  expect(`${text}\n`).toBe(readFileSync(path, "utf8"));
}

/** Several texts in one file, each under its name. */
export function sections(all: Readonly<Record<string, string>>): string {
  return Object.entries(all)
    .map(([name, text]) => `## ${name}\n\n${text}`)
    .join("\n\n");
}
