import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { mapLine, readHunks } from "../../../src/runner/git/map-line.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-lines-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What git itself says of two texts. */
function diffOf(before: readonly string[], after: readonly string[]): string {
  const write = (name: string, lines: readonly string[]) =>
    writeFileSync(join(dir, name), lines.map((line) => `${line}\n`).join(""));
  write("before", before);
  write("after", after);
  const args = ["diff", "--no-index", "-U0", "--no-color", "before", "after"];
  try {
    return execFileSync("git", args, { cwd: dir, encoding: "utf8" });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

it("follows every line that stayed, wherever others were put in, changed or taken out", () => {
  const edit = fc.constantFrom("keep", "keep", "keep", "change", "remove", "add");
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 30 }), (edits) => {
      const before = edits.map((_, at) => `line ${at}`);
      const after = edits.flatMap((what, at) => {
        if (what === "remove") return [];
        if (what === "change") return [`changed ${at}`];
        return what === "add" ? [`added ${at}`, `line ${at}`] : [`line ${at}`];
      });
      const hunks = readHunks(diffOf(before, after)) ?? [];
      for (const [at, line] of before.entries()) {
        const now = mapLine(at + 1, hunks);
        if (after.includes(line)) expect(after[now - 1]).toBe(line);
        else expect(now).toBeGreaterThanOrEqual(1);
        expect(now).toBeLessThanOrEqual(Math.max(1, after.length));
      }
    }),
    { numRuns: 60 },
  );
});

it("leads a changed line to what took its place", () => {
  const hunks = readHunks(diffOf(["a", "b", "c"], ["new", "a", "B", "c"])) ?? [];
  expect([1, 2, 3].map((line) => mapLine(line, hunks))).toEqual([2, 3, 4]);
});

it("tells a file that is gone from one that stayed as it is", () => {
  expect(
    readHunks("diff --git a/x b/x\ndeleted file mode 100644\nindex 1..0\n@@ -1 +0,0 @@\n-a\n"),
  ).toBeNull();
  expect(readHunks("")).toEqual([]);
  expect(mapLine(7, [])).toBe(7);
});
