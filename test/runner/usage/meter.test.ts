import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Usage } from "../../../src/protocol/usage.ts";
import { Meter } from "../../../src/runner/usage/meter.ts";

const recorded = (name: string) =>
  readFileSync(resolve(import.meta.dirname, `../../fixtures/agents/${name}.jsonl`), "utf8");

function meterOf(...lines: (string | object)[]): Meter {
  const meter = new Meter();
  for (const line of lines) meter.hear(typeof line === "string" ? line : JSON.stringify(line));
  return meter;
}

const read = (name: string) => meterOf(...recorded(name).split("\n"));

describe("what real agents say they used", () => {
  it.each<[string, Usage]>([
    ["claude/work", { costUsd: 0.006, tokens: 720 }],
    ["qwen/work", { costUsd: null, tokens: 720 }],
    ["codex/work", { costUsd: null, tokens: 720 }],
    // It knows no price of a pretended model.
    ["opencode/work", { costUsd: null, tokens: 720 }],
    ["gemini/work", { costUsd: null, tokens: 840 }],
    ["codex/no-credit", { costUsd: null, tokens: null }],
  ])("%s", (name, used) => {
    expect(read(name).told()).toEqual(used);
  });

  it("hears claude's, qwen's and opencode's answers one by one, before there is a total", () => {
    const tokens = ["claude/work", "qwen/work", "opencode/work", "codex/work", "gemini/work"].map((name) => {
      const lines = recorded(name).split("\n");
      return meterOf(...lines.filter((line) => !/"type":"(?:result|turn.completed)"/.test(line))).told()
        .tokens;
    });
    expect(tokens).toEqual([720, 720, 720, null, null]);
  });
});

const part = (id: string, tokens: number) => ({
  type: "assistant",
  message: { id, usage: { input_tokens: tokens, output_tokens: 0 } },
});
const total = (costUsd: number, tokens: number) => ({
  type: "result",
  is_error: false,
  total_cost_usd: costUsd,
  usage: { input_tokens: tokens, output_tokens: 0 },
});

describe("adding up", () => {
  it("counts an answer once however often it is told, and hears a log a second time for nothing", () => {
    const lines = [part("a", 100), part("a", 100), part("b", 50), part("a", 100)];
    expect(meterOf(...lines, ...lines).told().tokens).toBe(150);
  });

  it("takes a total for a run's where it is too small to be the session's", () => {
    // claude 2.1.197 tells what the run used, 2.1.332 all of the session.
    const before = { costUsd: 0.002, tokens: 240 };
    expect(meterOf(part("a", 240), total(0.002, 240)).told(before)).toEqual({ costUsd: 0.002, tokens: 240 });
    const { costUsd, tokens } = meterOf(part("a", 240), total(0.005, 480)).told(before);
    expect([costUsd?.toFixed(4), tokens]).toEqual(["0.0030", 240]);
  });

  it("takes what came after the total as well", () => {
    expect(meterOf(part("a", 100), total(1, 100), part("b", 500)).told()).toEqual({
      costUsd: 1,
      tokens: 600,
    });
  });

  it.each([
    ["Infinity", '{"type":"result","is_error":false,"total_cost_usd":1e999,"usage":{"input_tokens":1e999}}'],
    ["negative", '{"type":"result","is_error":false,"total_cost_usd":-5,"usage":{"input_tokens":-1}}'],
    ["text", '{"type":"result","is_error":false,"total_cost_usd":"5","usage":{"input_tokens":"7"}}'],
    ["far too many", '{"type":"result","is_error":false,"total_cost_usd":1e9,"usage":{"input_tokens":1e15}}'],
    ["a list", '{"type":"result","is_error":false,"total_cost_usd":[5],"usage":[7]}'],
    ["a deep nothing", '{"type":"turn.completed","usage":null}'],
    ["no JSON", '{"type":"result","usage": {'],
  ])("believes no amount that cannot be: %s", (_, line) => {
    expect(meterOf(line).told()).toEqual({ costUsd: null, tokens: null });
  });

  it("keeps a bounded number of answers in mind, and their sum", () => {
    const meter = new Meter();
    for (let n = 0; n < 45_000; n++) meter.hear(JSON.stringify(part(`m${n}`, 1)));
    expect(meter.told().tokens).toBe(45_000);
  });

  it("throws at no text", () => {
    const word = fc.oneof(
      fc.constantFrom("usage", "tokens", "stats", "type", "result", "turn.completed", "assistant", "message"),
      fc.string(),
    );
    const value = fc.jsonValue();
    fc.assert(
      fc.property(fc.dictionary(word, fc.oneof(value, word)), (event) => {
        const { costUsd, tokens } = meterOf(event, { ...event, type: "result", is_error: true }).told();
        for (const amount of [costUsd, tokens]) expect(amount === null || amount >= 0).toBe(true);
      }),
    );
  });
});
