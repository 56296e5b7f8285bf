import { describe, expect, it } from "vitest";
import type { RunPrompt } from "../../src/protocol/shapes.ts";
import { type PromptedRun, promptText } from "../../src/runner/prompt.ts";

const cell = { id: "4f1c0b7e-1111-4222-8333-444455556666", brief: "# Mission: more\n\nPlease.\n" };
const WORDS: RunPrompt = { kind: "words", text: "dev asks you to go on.\n", earlier: ["allegro"] };
const text = (more: Partial<PromptedRun>, fits = (_: string) => true) =>
  promptText({ cell, run: 2, agent: "allegro", prompt: WORDS, isResumed: false, ...more }, fits);

describe("the text that a run starts with", () => {
  it("is the brief at first, byte for byte", () => {
    expect(text({ prompt: { kind: "brief", text: "", earlier: [] } })).toBe(cell.brief);
  });

  it("is only what is new where the session goes on", () => {
    expect(text({ isResumed: true })).toBe(
      "# Run 2 in cell 4f1c0b7e: you are allegro\n\n" +
        "You worked here before, and this session goes on. The mission is in the file `$LAZARUS_MISSION`.\n\n" +
        "dev asks you to go on.\n",
    );
  });

  it("is that and the brief where it does not", () => {
    expect(text({})).toBe(
      "# Run 2 in cell 4f1c0b7e: you are allegro\n\n" +
        "You worked here before, but that session is not at hand: see `git log` and the tree for what you did. The mission stands below.\n\n" +
        "dev asks you to go on.\n\n---\n\n# Mission: more\n\nPlease.\n",
    );
  });

  it("says who worked here before an agent that is new, and nothing of it where nobody did", () => {
    expect(text({ agent: "ezra" })).toContain("This is your first run here. allegro worked here before you");
    expect(text({ prompt: { ...WORDS, earlier: [] } })).toContain("This is your first run here. The mission");
  });

  it("leaves the brief in its file where both do not fit", () => {
    const short = text({}, (whole) => whole.length < 100);
    expect(short).toContain("read all of it before you begin");
    expect(short).not.toContain("Please.");
  });
});
