import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { digest } from "../../../src/runner/events/digest.ts";

const recorded = (name: string) =>
  readFileSync(resolve(import.meta.dirname, `../../fixtures/agents/${name}.jsonl`), "utf8");
const of = (name: string) => digest(recorded(name), false);
const event = (value: object) => `${JSON.stringify(value)}\n`;

const ANSWER = "npm test passes, and it is committed. I began anew.";
const ran = (name: string) =>
  of(name)?.ran.map((one) => `${one.command.slice(0, 15)}: ${one.exit ?? (one.isFailed ? "failed" : "-")}`);

describe("what real agents said and did", () => {
  it("claude: turns, cost, exit codes", () => {
    expect(of("claude/work")).toMatchObject({
      words: ANSWER,
      commands: 4,
      failed: 1,
      turns: 6,
      costUsd: 0.006,
    });
    expect(ran("claude/work")).toEqual([
      "pwd && npm test: 1",
      "npm test: 0",
      "git add -A && g: 0",
      "printf '%s\\n' ': 0",
    ]);
  });

  it("claude: what it was not allowed to do, with the reason it was given", () => {
    expect(of("claude/not-allowed")).toMatchObject({
      ...{ commands: 0, failed: 0, denials: 4, trouble: "" },
      denied: [
        { what: "pwd && npm test" },
        { what: "npm test", why: "This command requires approval" },
        { what: 'git add -A && git commit -m "greet: say hello"' },
        {},
      ],
    });
  });

  it("codex: each command inside its shell", () => {
    expect(of("codex/work")).toMatchObject({
      words: ANSWER,
      commands: 5,
      failed: 1,
      turns: null,
      costUsd: null,
    });
    expect(ran("codex/work")?.slice(0, 3)).toEqual([
      "pwd && npm test: 1",
      "cat > greet.js : 0",
      "npm test: 0",
    ]);
  });

  it("codex: a sandbox of its own that cannot be made", () => {
    expect(of("codex/no-sandbox")).toMatchObject({ words: ANSWER, commands: 5, failed: 5 });
    expect(of("codex/no-sandbox")?.ran[0]?.end).toBe(
      "bwrap: execvp codex-linux-sandbox: No such file or directory",
    );
  });

  it.each([
    ["codex/unauthorized", /^unexpected status 401 Unauthorized: Incorrect API key provided/],
    ["codex/no-credit", /^Quota exceeded\. Check your plan and billing details\.$/],
    ["gemini/limited", /^\[API Error: You exceeded your current quota\. Please retry in 1h0m0s\./],
    ["qwen/unauthorized", /^\[API Error: 401 Incorrect API key provided/],
  ])("what its model refused: %s", (name, trouble) => {
    expect(of(name)).toMatchObject({ words: "", commands: 0, trouble: expect.stringMatching(trouble) });
  });

  it("opencode: rounds with its model, and no cost where it tells none", () => {
    expect(of("opencode/work")).toMatchObject({
      words: ANSWER,
      commands: 4,
      failed: 1,
      turns: 6,
      costUsd: null,
    });
    expect(ran("opencode/work")?.slice(0, 2)).toEqual(["pwd && npm test: 1", "npm test: 0"]);
  });

  it("gemini and qwen: no exit codes, since they tell none", () => {
    expect(of("gemini/work")).toMatchObject({ words: ANSWER, commands: 4, failed: 0, turns: null });
    expect(of("qwen/work")).toMatchObject({ words: ANSWER, commands: 4, failed: 0, turns: 6 });
    expect(ran("qwen/work")?.[0]).toBe("pwd && npm test: -");
  });
});

it("is nothing where the log holds no events", () => {
  expect(digest("sh: 1: hermes: not found\n{}\n{not json\n", false)).toBeNull();
});

it("counts nothing where the beginning is missing, and adds nothing up", () => {
  const log = recorded("opencode/work");
  expect(digest(log.slice(log.indexOf("step_finish") + 200), true)).toMatchObject({
    ...{ words: ANSWER, commands: null, failed: null, turns: null, costUsd: null },
  });
});

it("adds up what each round cost", () => {
  const round = event({ type: "step_finish", sessionID: "s", part: { reason: "tool-calls", cost: 0.02 } });
  expect(digest(round + round, false)).toMatchObject({ turns: 2, costUsd: 0.04 });
});

it("forgets trouble that it got over", () => {
  const trouble = event({ type: "error", message: "Reconnecting... 1/5" });
  const answer = event({ type: "item.completed", item: { id: "1", type: "agent_message", text: "There." } });
  expect(digest(trouble + answer, false)).toMatchObject({ words: "There.", trouble: "" });
  expect(digest(answer + trouble, false)).toMatchObject({ words: "There.", trouble: "Reconnecting... 1/5" });
});

it("puts words together that come in parts, and begins anew after a tool", () => {
  const part = (content: string) => event({ type: "message", role: "assistant", content, delta: true });
  const tool = event({ type: "tool_use", tool_name: "read_file", tool_id: "1", parameters: {} });
  expect(digest(part("I be") + part("gin.") + tool + part("It is ") + part("done."), false)?.words).toBe(
    "It is done.",
  );
});

it("does not take a helper's words for the agent's", () => {
  const say = (text: string, parent: string | null) =>
    event({ type: "assistant", parent_tool_use_id: parent, message: { content: [{ type: "text", text }] } });
  expect(digest(say("mine", null) + say("a helper's", "toolu_1"), false)?.words).toBe("mine");
});

it("is plain, in one line each, and cut, whatever comes", () => {
  const evil = `\u001b[31m\u202ea\n\nb${"x".repeat(100_000)}`;
  const log =
    event({ type: "item.completed", item: { id: "1", type: "agent_message", text: evil } }) +
    Array.from({ length: 300 }, (_, n) =>
      event({
        type: "item.completed",
        item: {
          ...{ id: `c${n}`, type: "command_execution", command: evil, status: "failed" },
          ...{ exit_code: 1, aggregated_output: evil },
        },
      }),
    ).join("");
  const said = digest(log, false);
  expect(said).toMatchObject({ commands: 300, failed: 300 });
  expect(said?.ran).toHaveLength(10);
  expect(JSON.stringify(said).length).toBeLessThan(10_000);
  expect(said?.ran[0]?.command).toMatch(/^a bx+…$/);
});
