import { describe, expect, it } from "vitest";
import { findLoop } from "../../../src/runner/health/loop.ts";
import { growth } from "../../fakes/growth.ts";

const times = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join("\n");
const json = (value: unknown) => JSON.stringify(value);

const CLAUDE = (command: string, n: number) =>
  [
    json({
      type: "assistant",
      message: {
        id: `msg_${n}`,
        content: [
          {
            type: "text",
            text: `Attempt: let me look at it in the way number ${"abcdefghijklmnop"[n % 16]}`,
          },
          { type: "tool_use", id: `toolu_${n}`, name: "Bash", input: { command } },
        ],
        usage: { input_tokens: n * 100 },
      },
    }),
    json({ type: "user", message: { content: [{ type: "tool_result", content: `1 failed in ${n} ms` }] } }),
  ].join("\n");
const CODEX = (command: string, n: number) =>
  [
    json({ type: "item.started", item: { id: `item_${n}`, type: "command_execution", command } }),
    json({
      type: "item.completed",
      item: { id: `item_${n}`, type: "command_execution", command, exit_code: 1 },
    }),
  ].join("\n");
const OPENCODE = (command: string, n: number) =>
  json({
    type: "tool_use",
    sessionID: `ses_${n}`,
    part: { type: "tool", callID: `c${n}`, tool: "bash", state: { status: "completed", input: { command } } },
  });
const GEMINI = (command: string, n: number) =>
  json({ type: "tool_use", tool_name: "run_shell_command", tool_id: `t${n}`, parameters: { command } });

const STREAMS = [
  ["claude and qwen", CLAUDE],
  ["codex", CODEX],
  ["opencode", OPENCODE],
  ["gemini", GEMINI],
] as const;

describe("what is a loop", () => {
  it.each(STREAMS)("the same command with the same input, in the stream of %s", (_, event) => {
    expect(findLoop(times(12, (n) => event("npm test", n)))).toMatch(
      /^the same command again and again: .*npm test/,
    );
  });

  it.each(STREAMS)("two commands in turn, in the stream of %s", (_, event) => {
    expect(findLoop(times(12, (n) => event(n % 2 ? "npm test" : "git status", n)))).toContain(
      "again and again",
    );
  });

  it("the same words", () => {
    const text = "I will now try to fix the failing test.";
    const said = () => json({ type: "item.completed", item: { type: "agent_message", text } });
    expect(findLoop(times(7, said))).toBe(`it says the same again and again: ${text}`);
  });

  it.each([
    ["one line", times(45, () => "waiting for the model to answer")],
    ["with times", times(45, (n) => `2026-11-21T14:${10 + n}:02.113Z waiting for the server (${n * 7} ms)`)],
    ["with attempts", times(45, (n) => `Attempt ${n}/1000 failed: connection refused`)],
    ["with ids", times(45, () => `request ${crypto.randomUUID()} was refused by the model`)],
    [
      "a block of lines",
      times(12, (n) => `running the tests\n  1 failed in 1.${n}s\nlet me try again\nediting parser.ts`),
    ],
    [
      "in the middle of its block",
      `${times(12, () => "first of all\nthen the second\nand a third one\nlastly this")}\nfirst of all`,
    ],
    [
      "behind other work",
      `${times(900, (n) => `compiled module number ${n}`)}\n${times(45, () => "the model is overloaded")}`,
    ],
  ])("the same output: %s", (_, log) => {
    expect(findLoop(log)).toMatch(/^the same output again and again: /);
  });

  it("is told in the same words whatever the phase, and cut", () => {
    const block = ["short but telling enough", `the longest ${"x".repeat(200)}`, "something in between"];
    const log = times(60, (n) => block[n % 3] ?? "");
    const told = findLoop(log);
    expect(told).toHaveLength("the same output again and again: ".length + 81);
    expect(findLoop(`${log}\n${block[0]}`)).toBe(told);
  });
});

describe("what is none", () => {
  it.each([
    ["nothing", ""],
    ["few repetitions", times(20, () => "warning: this function is deprecated")],
    ["dots", times(500, () => ".")],
    [
      "a bar that draws over itself",
      times(1, () => times(500, (n) => `downloading ${n} %`).replaceAll("\n", "\r")),
    ],
    ["a bar on lines of its own", times(100, (n) => `downloading the model: ${n}%`)],
    ["a growing bar", times(60, (n) => `building [${"=".repeat(n)}${" ".repeat(60 - n)}]`)],
    ["a test runner", times(300, (n) => ` ✓ parser > accepts input of kind ${n} (${n % 9} ms)`)],
    ["a test runner with numbers only", times(300, (n) => `ok ${n} - parses the file`)],
    ["ticks", times(300, () => "ok")],
    ["names", times(300, () => "PASS")],
    [
      "steps of a training",
      times(300, (n) => `epoch ${n}/500 loss ${(1 / (n + 1)).toFixed(4)} accuracy 0.91`),
    ],
    ["a compiler", times(300, (n) => `  CC src/file${n}.o`)],
    ["an installation", times(200, (n) => `Requirement already satisfied: package-${n} in /usr/lib`)],
    [
      "a loop that is over",
      `${times(45, () => "waiting for the server to come up")}\nthe server is up\nrunning the tests`,
    ],
    ["polling a few times", times(6, (n) => CLAUDE("sleep 30; cat build.log", n))],
    ["work", times(100, (n) => CLAUDE(`sed -i s/a/b/ file${n}.ts`, n))],
    ["edits between tests", times(40, (n) => (n % 2 ? CLAUDE("npm test", n) : CLAUDE(`patch ${n}`, n)))],
    ["events without calls", times(300, () => json({ type: "system", subtype: "thinking" }))],
    ["broken events", times(300, (n) => `{"type":"assistant","mess${n}`)],
  ])("%s", (_, log) => {
    expect(findLoop(log)).toBeNull();
  });

  it.each(["{", " ", "a\n", "0:0", "\r"])("takes twice as long for twice as much of %j", (piece) => {
    const work = (n: number) => findLoop(piece.repeat(n / piece.length));
    expect(growth(work, { from: 8_192, most: 524_288 })).toBeLessThan(3);
  });
});
