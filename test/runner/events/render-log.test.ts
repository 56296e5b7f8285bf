import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/redact.ts";
import { createLogRenderer, renderLog } from "../../../src/runner/events/render-log.ts";
import { expectGolden, sections } from "../../fakes/golden.ts";

const FIXTURES = resolve(import.meta.dirname, "../../fixtures/agents");
const recorded = (agent: string) =>
  Object.fromEntries(
    readdirSync(join(FIXTURES, agent))
      .sort()
      .map((file) => [file.replace(".jsonl", ""), readFileSync(join(FIXTURES, agent, file), "utf8")]),
  );
const event = (value: object) => `${JSON.stringify(value)}\n`;
const words = (text: string) =>
  event({ type: "assistant", message: { content: [{ type: "text", text }] }, session_id: "s" });
const bash = (id: string, command: string) =>
  event({
    type: "assistant",
    message: { content: [{ type: "tool_use", id, name: "Bash", input: { command } }] },
  });
const result = (id: string, content: unknown, isError = false) =>
  event({
    type: "user",
    message: { content: [{ type: "tool_result", tool_use_id: id, content, is_error: isError }] },
  });

describe("what real agents wrote", () => {
  it.each(["claude", "codex", "opencode", "gemini", "qwen"])("reads well: %s", (agent) => {
    const shown = Object.entries(recorded(agent)).map(([name, log]) => [
      name,
      `\`\`\`text\n${renderLog(log).trimEnd()}\n\`\`\``,
    ]);
    expectGolden(`log-${agent}`, sections(Object.fromEntries(shown)));
  });

  it.each(["claude", "codex", "opencode", "gemini", "qwen"])(
    "reads the same in pieces of any size: %s",
    (agent) => {
      for (const log of Object.values(recorded(agent))) {
        for (const size of [1, 7, 100, 4096]) {
          const renderer = createLogRenderer();
          let shown = "";
          for (let at = 0; at < log.length; at += size) shown += renderer.push(log.slice(at, at + size));
          expect(shown + renderer.end()).toBe(renderLog(log));
        }
      }
    },
  );

  it("reads well from anywhere: no half of an event is shown", () => {
    for (const log of Object.values(recorded("claude"))) {
      for (let at = 1; at < log.length; at += 211) {
        const shown = renderLog(log.slice(at), true);
        expect(shown).not.toMatch(/"session_id"|"uuid"/);
      }
    }
  });
});

it("leaves a log of no known agent as it is", () => {
  const log =
    'Compiling\n{"level":30,"msg":"no event"}\n{"type":"of-nobody","x":1}\n  indented\n{broken\n\nlast';
  expect(renderLog(log)).toBe(`${log}\n`);
});

it("shows what is not a line yet at once, unless it may be an event", () => {
  const renderer = createLogRenderer();
  expect(renderer.push("50 %")).toBe("50 %");
  expect(renderer.push("\n{")).toBe("\n");
  expect(renderer.push('"type":"error","message":"over"}\n')).toBe("! over\n");
  expect(renderer.end()).toBe("");
});

it("says of a result that came later whose it is", () => {
  const log =
    bash("1", "npm test") +
    bash("2", "npm run lint") +
    result("1", "Exit code 2\nno", true) +
    result("2", "ok");
  expect(renderLog(log)).toBe(
    "$ npm test\n$ npm run lint\n  ($ npm test)\n  no\n  -> exit 2\n  ($ npm run lint)\n  ok\n",
  );
});

it("shows the beginning and the end of what a program printed", () => {
  const output = Array.from({ length: 500 }, (_, n) => `line ${n}`).join("\n");
  const shown = renderLog(bash("1", "seq") + result("1", output)).split("\n");
  expect(shown.length).toBeLessThan(20);
  expect(shown).toContain("  line 0");
  expect(shown).toContain("  … 488 lines left out …");
  expect(shown).toContain("  line 499");
});

describe("hostile text", () => {
  it("cannot steer a terminal or turn what is read, from inside JSON", () => {
    const evil = "\u001b]0;owned\u0007\u001b[31mred\u001b[2J\u202etxt.exe\u2066\r\u200bend\u0000\u009b1m";
    const log =
      words(evil) + bash(evil, evil) + result(evil, evil, true) + event({ type: "error", message: evil });
    expect(renderLog(log)).not.toMatch(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2066-\u2069]/,
    );
  });

  it("hides a secret that JSON wrote in pieces, after it was put together", () => {
    const { redact } = createRedactor(["hunter22-and-more"]);
    const parts = ["hunter", "22-and-more"].map((content) =>
      event({ type: "message", role: "assistant", content, delta: true }),
    );
    expect(redact(renderLog(redact(parts.join(""))))).toBe("[redacted]\n");
    expect(redact(renderLog(redact(words("hun\u200bter22-and-more"))))).toBe("[redacted]\n");
    expect(redact(renderLog(redact(`{"type":"error","message":"hunt\\u0065r22-and-more"}\n`)))).toBe(
      "! [redacted]\n",
    );
  });

  it("is cut however long it is, and read in time", () => {
    const long = "x".repeat(2_000_000);
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const log = [
      words(long),
      bash("1", `bash -lc ${"'a'".repeat(300_000)}`),
      event({
        type: "item.completed",
        item: { type: "command_execution", id: "c", command: `bash -lc ${'"\\'.repeat(9_000)}` },
      }),
      result("1", [{ type: "text", text: long }]),
      `{"type":"result","is_error":false,"errors":${deep}}\n`,
      `{"type":"user","message":{"content":${deep}}}\n`,
      `{"type":${long}\n`,
      long,
    ].join("");
    expect(renderLog(log).length).toBeLessThan(70_000);
  });

  it("is never thrown at: anything may stand where anything is expected", () => {
    const odd = [null, 0, -1, 1e300, "", "x", [], {}, [[]], [null], { text: {} }, true];
    const types = ["system", "assistant", "user", "result", "item.completed", "turn.failed", "error", "text"];
    const more = ["tool_use", "tool_result", "step_finish", "init", "message", "thread.started", "reasoning"];
    for (const type of [...types, ...more])
      for (const value of odd)
        renderLog(
          event({
            ...{
              type,
              message: value,
              item: value,
              part: value,
              error: value,
              result: value,
              content: value,
            },
            ...{
              sessionID: "s",
              session_id: "s",
              tool_id: "1",
              tool_name: value,
              status: "x",
              role: "assistant",
            },
            ...{
              is_error: false,
              permission_denials: [value],
              input: value,
              subtype: value,
              severity: "error",
            },
          }),
        );
  });
});
