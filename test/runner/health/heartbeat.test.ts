import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/redact.ts";
import { readBeat } from "../../../src/runner/health/heartbeat.ts";
import { CELL_TOKEN_PREFIX } from "../../../src/secret-forms.ts";

const SECRET = "sekrit-token-1234567890";
const { redact } = createRedactor([SECRET]);
const read = (value: unknown) => readBeat(typeof value === "string" ? value : JSON.stringify(value), redact);

describe("a heartbeat", () => {
  it("is a state, and may have a message and how far it is", () => {
    expect(read({ state: "testing" })).toEqual({ state: "testing", message: null, progress: null });
    expect(read({ state: "testing", message: "3 of 7", progress: 0.4, more: [1] })).toEqual({
      state: "testing",
      message: "3 of 7",
      progress: 0.4,
    });
    expect(read({ state: "a", message: null, progress: "half" })).toMatchObject({ progress: "half" });
  });

  it.each([
    ["nothing", ""],
    ["half of one", '{"state": "test'],
    ["a list", []],
    ["null", null],
    ["no state", { message: "x" }],
    ["a state of no text", { state: 7 }],
    ["an empty state", { state: " \u200b\n" }],
    ["more than all", { state: "a", progress: 40 }],
    ["less than nothing", { state: "a", progress: -1 }],
    ["another message", { state: "a", message: { text: "x" } }],
    ["too much", { state: "a", message: "x".repeat(5_000) }],
    ["too much in bytes", { state: "a", message: "ü".repeat(2_040) }],
  ])("is not %s", (_, value) => {
    expect(read(value)).toBeNull();
  });

  it("holds no secret, no control character and no line break, and is short", () => {
    const token = `${CELL_TOKEN_PREFIX}${"ab".repeat(32)}`;
    const beat = read({
      state: `\x1b[31mred\x1b[0m ${SECRET}`,
      message: `one\ntwo\u0000\u202e\u200b three ${SECRET} ${token}`,
      progress: `${"x".repeat(100)}`,
    });
    expect(beat).toEqual({
      state: "red [redacted]",
      message: "one two three [redacted] [redacted]",
      progress: `${"x".repeat(39)}…`,
    });
    const cut = read({ state: "a", message: `${"x".repeat(190)} ${SECRET}` });
    expect(cut?.message).toBe(`${"x".repeat(190)} [redacte…`);
  });

  it.each([
    ["an escape sequence before it", `\x1b${SECRET}`],
    ["a title of a terminal within it", `${SECRET.slice(0, 9)}\x1b]0;x\x07${SECRET.slice(9)}`],
    ["a filler within it", `${SECRET.slice(0, 9)}\u3164${SECRET.slice(9)}`],
    ["a joiner within it", `${SECRET.slice(0, 9)}\u034f${SECRET.slice(9)}`],
    ["a selector within it", `${SECRET.slice(0, 9)}\u{E0100}${SECRET.slice(9)}`],
  ])("hides a secret with %s", (_, message) => {
    expect(read({ state: "a", message })?.message).not.toContain(SECRET.slice(2, 9));
  });
});
