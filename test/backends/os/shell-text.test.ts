import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { execText, nulSeparated, openUnnamed, quoted } from "../../../src/backends/os/shell-text.ts";

it.each([["it's"], ['$HOME `id` \\ "x"'], ["a\nb\n"], ["-n"], [""], ["*"], ["ünï"]])(
  "quotes %j so that a shell takes it as it is",
  (word) => {
    const said = execFileSync("/bin/sh", ["-c", execText(["printf", "[%s]", word, "end"]).text], {
      encoding: "utf8",
    });
    expect(said).toBe(`[${word}][end]`);
  },
);

it("refuses a word with a NUL, which would become two", () => {
  expect(() => quoted("a\0--bind")).toThrow(/holds a NUL/);
  expect(() => nulSeparated(["--ro-bind", "a\0b"])).toThrow(/holds a NUL/);
  expect(nulSeparated(["--dir", "/a b"])).toBe("--dir\0/a b\0");
});

it("opens a file that has no name, from its start, and for reading only", () => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-text-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const text = "ü".repeat(300_000);
  const fd = openUnnamed(dir, text);
  onTestFinished(() => closeSync(fd));
  expect(readdirSync(dir)).toEqual([]);
  expect(readFileSync(fd, "utf8")).toBe(text);
  expect(() => writeSync(fd, "x")).toThrow(/EBADF/);
});
