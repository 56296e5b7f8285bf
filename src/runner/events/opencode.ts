import { costIn } from "../../protocol/usage.ts";
import {
  type AgentEvent,
  called,
  type EventReader,
  type Json,
  number,
  outputText,
  record,
  sumOf,
  text,
} from "./event.ts";

/** The events of `opencode run --format json`, 1.18. @see test/fixtures/agents/opencode */
export const readOpencode: EventReader = (event) => {
  if (typeof event.sessionID !== "string") return null;
  const part = record(event.part);
  switch (event.type) {
    case "step_start":
      return [];
    case "text":
      return text(part.text).trim() === "" ? [] : [{ kind: "words", text: text(part.text), isPart: false }];
    case "reasoning":
      return [{ kind: "note", text: text(part.text) }];
    case "tool_use":
      return ofTool(part);
    case "step_finish":
      return [
        { kind: "round", costUsd: number(part.cost) },
        ...partUsed(part),
        ...(part.reason === "stop"
          ? ([{ kind: "ended", isWell: true, words: "", turns: null, costUsd: null }] as const)
          : []),
      ];
    case "error":
      return [{ kind: "trouble", text: errorOf(record(event.error)) }];
    default:
      return null;
  }
};

function partUsed(part: Json): AgentEvent[] {
  const { total, input, output, reasoning, cache } = record(part.tokens);
  const { read, write } = record(cache);
  const tokens = sumOf(total) ?? sumOf(input, output, reasoning, read, write);
  const costUsd = costIn(part.cost);
  return [{ kind: "told", of: "part", id: text(part.id), costUsd, tokens }];
}

function ofTool(part: Json): AgentEvent[] {
  const state = record(part.state);
  // It tells a call several times; when it is done, once.
  if (state.status !== "completed" && state.status !== "error") return [];
  const exit = number(record(state.metadata).exit);
  const isFailed = state.status === "error" || (exit !== null && exit !== 0);
  const output = state.status === "error" ? outputText(state.error) : outputText(state.output);
  return [
    called(part.callID, part.tool, state.input),
    { kind: "outcome", id: text(part.callID), exit, isFailed, output },
  ];
}

function errorOf(error: Json): string {
  const { message, statusCode } = record(error.data);
  const status = number(statusCode) === null ? "" : `status ${String(statusCode)}: `;
  return `${status}${text(message) || text(error.message) || text(error.name)}`;
}
