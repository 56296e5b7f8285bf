import { execFileSync, spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");
const script = (shell: string) =>
  execFileSync(process.execPath, [BIN, "completion", shell], { encoding: "utf8", cwd: join(BIN, "../..") });

const bash = script("bash");
/** What a real bash offers for the last word of a line. */
function offered(...line: string[]): string[] {
  const words = ["lazarus", ...line];
  const ask = `${bash}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lazarus; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const said = execFileSync("bash", ["--norc", "-c", `set -u; ${ask}`, "bash", ...words], {
    encoding: "utf8",
  });
  return said.split("\n").filter(Boolean);
}

describe("lazarus completion bash", () => {
  it("completes a verb", () => {
    expect(offered("sum")).toEqual(["summon"]);
    expect(offered("")).toEqual(expect.arrayContaining(["serve", "doctor", "status", "completion"]));
    expect(offered("")).not.toContain("--json");
  });

  it("completes the flags of the verb that was typed, and those of all", () => {
    expect(offered("doctor", "--f")).toEqual(["--fix"]);
    expect(offered("summon", "--w")).toEqual(["--wait"]);
    expect(offered("doctor", "--w")).toEqual([]);
    expect(offered("doctor", "--js")).toEqual(["--json"]);
  });

  it("finds the verb behind options with values, also where a value looks like one", () => {
    expect(offered("--json", "--config", "serve", "doctor", "--f")).toEqual(["--fix"]);
    expect(offered("--config", "ser")).toEqual([]);
  });

  it("completes words of a fixed choice", () => {
    expect(offered("completion", "z")).toEqual(["zsh"]);
  });
});

describe("lazarus completion", () => {
  it("knows bash and zsh, and says so", () => {
    const { status, stderr } = spawnSync(process.execPath, [BIN, "completion", "fish"], { encoding: "utf8" });
    expect([status, stderr]).toEqual([2, expect.stringContaining("bash, zsh")]);
  });

  it("prints for zsh each verb with what it does", () => {
    const zsh = script("zsh");
    expect(zsh).toMatch(/^#compdef lazarus\n/);
    expect(zsh).toMatch(/'doctor:looks for what is missing/);
  });

  it("prints for zsh what zsh can read", ({ skip }) => {
    if (spawnSync("zsh", ["--version"]).error !== undefined) skip("there is no zsh here");
    const { status, stderr } = spawnSync("zsh", ["-n"], { input: script("zsh"), encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });
});
