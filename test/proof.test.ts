import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** Tables that say which test proves what: their last two columns are a file and words of a test in it. */
const TABLES = ["test/chaos/README.md", "test/attack/README.md", "test/bad-inputs.md"];
const ROOT = join(import.meta.dirname, "..");

interface Row {
  readonly what: string;
  readonly file: string;
  readonly words: string;
}

function rowsOf(table: string): Row[] {
  const lines = readFileSync(join(ROOT, table), "utf8").split("\n");
  return lines.flatMap((line) => {
    const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    const [file = "", words = ""] = cells.slice(-3);
    const isRow = line.startsWith("|") && /\.tsx?$/.test(file) && /^`.+`$/.test(words);
    return isRow ? [{ what: cells[1] ?? "", file, words: words.slice(1, -1).replaceAll("\\|", "|") }] : [];
  });
}

describe.each(TABLES)("%s", (table) => {
  const rows = rowsOf(table);

  it("has rows, and no line of its table that is none", () => {
    const lines = readFileSync(join(ROOT, table), "utf8").split("\n");
    const all = lines.filter((line) => line.startsWith("| ") && !/\| file \|/.test(line));
    expect(all.length).toBe(rows.length);
    expect(rows.length).toBeGreaterThan(10);
  });

  it("names tests that there are", () => {
    const missing = rows.filter(({ file, words }) => {
      const path = [join(ROOT, table, "..", file), join(ROOT, "test", file)].find(existsSync);
      return path === undefined || !readFileSync(path, "utf8").includes(words);
    });
    expect(missing).toEqual([]);
  });
});
