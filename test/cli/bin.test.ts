import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const VERSION = `${(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version}\n`;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus bin-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const ask = (program: string, cwd = dir) =>
  execFileSync(program, ["--version"], { cwd, encoding: "utf8", env: { PATH: process.env.PATH } });

it("runs from the checkout and from any other directory", () => {
  expect(ask("./bin/lazarus", ROOT)).toBe(VERSION);
  expect(ask(join(ROOT, "bin/lazarus"))).toBe(VERSION);
});

it("runs through links, one after the other", () => {
  symlinkSync(join(ROOT, "bin/lazarus"), join(dir, "first"));
  symlinkSync("first", join(dir, "lz"));
  symlinkSync(ROOT, join(dir, "checkout"));
  expect(ask(join(dir, "lz"))).toBe(VERSION);
  expect(ask(join(dir, "checkout/bin/lazarus"))).toBe(VERSION);
});

it("runs as npm link leaves it", () => {
  // npm itself would ask for the package's dependencies: these are its two links.
  const modules = join(dir, "lib/node_modules");
  mkdirSync(modules, { recursive: true });
  mkdirSync(join(dir, "bin"));
  symlinkSync(ROOT, join(modules, "lazarus"));
  const { bin } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    bin: { lazarus: string };
  };
  symlinkSync(`../lib/node_modules/lazarus/${bin.lazarus}`, join(dir, "bin/lazarus"));
  expect(ask(join(dir, "bin/lazarus"))).toBe(VERSION);
});
