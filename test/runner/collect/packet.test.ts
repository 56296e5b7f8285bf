import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readPacket } from "../../../src/runner/collect/packet.ts";

const SECRET = "a-secret-of-the-bot";
let cell: string;
let file: string;
beforeEach(() => {
  cell = mkdtempSync(join(tmpdir(), "lazarus-packet-"));
  file = join(cell, "artifacts", "handoff", "1-allegro.md");
  mkdirSync(dirname(file), { recursive: true });
});
afterEach(() => rmSync(cell, { recursive: true, force: true }));

const read = () =>
  readPacket(cell, { turn: 1, agent: "allegro", redact: (text) => text.replaceAll(SECRET, "[redacted]") });

it("is what the agent wrote, with secrets hidden", async () => {
  writeFileSync(file, `## Done\n\nuse ${SECRET}\n`);
  expect(await read()).toBe("## Done\n\nuse [redacted]");
});

it("is cut where it is too long, and says so", async () => {
  writeFileSync(file, "x".repeat(10 * 1024 ** 2));
  const text = (await read()) ?? "";
  expect(text.endsWith("(cut here: it was longer)")).toBe(true);
  expect(Buffer.byteLength(text)).toBeLessThan(17 * 1024);
});

it("is text also where it is binary", async () => {
  const bytes = Buffer.from(Array.from({ length: 4_096 }, (_, at) => at % 256));
  writeFileSync(file, Buffer.concat([Buffer.from("## Done\n"), bytes]));
  const text = (await read()) ?? "";
  expect(text.startsWith("## Done")).toBe(true);
  expect(text).not.toMatch(/[\u0000-\u0008\u000e-\u001f]/);
});

it.each([
  ["missing", () => {}],
  ["empty", () => writeFileSync(file, " \n\n")],
  [
    "a link",
    () => {
      writeFileSync(join(cell, "other"), SECRET);
      symlinkSync(join(cell, "other"), file);
    },
  ],
  ["a pipe", () => void execFileSync("mkfifo", [file])],
  ["a directory", () => mkdirSync(file)],
  [
    "behind a link",
    () => {
      rmSync(dirname(file), { recursive: true });
      mkdirSync(join(cell, "elsewhere"));
      writeFileSync(join(cell, "elsewhere", "1-allegro.md"), "x");
      symlinkSync(join(cell, "elsewhere"), dirname(file));
    },
  ],
] as readonly [string, () => void][])("is nothing where it is %s", async (_what, make) => {
  make();
  expect(await read()).toBeNull();
});
