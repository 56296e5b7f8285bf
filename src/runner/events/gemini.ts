import {
  type AgentEvent,
  called,
  type EventReader,
  type Json,
  outputText,
  record,
  sumOf,
  text,
} from "./event.ts";

/** The stream-json of gemini 0.61, which tells no exit codes. @see test/fixtures/agents/gemini */
export const readGemini: EventReader = (event) => {
  switch (event.type) {
    case "init":
      return typeof event.session_id === "string"
        ? [{ kind: "began", what: `gemini, ${text(event.model)}` }]
        : null;
    case "message":
      return typeof event.role === "string" ? ofMessage(event) : null;
    case "tool_use":
      return typeof event.tool_name === "string"
        ? [called(event.tool_id, event.tool_name, event.parameters)]
        : null;
    case "tool_result":
      return typeof event.tool_id === "string" ? ofTool(event) : null;
    case "error":
      return typeof event.severity === "string" ? ofError(event) : null;
    case "result":
      return typeof event.status === "string" ? ofResult(event) : null;
    default:
      return null;
  }
};

/** What it was asked stands there, too: that is the brief. */
function ofMessage(event: Json): AgentEvent[] {
  const words = text(event.content);
  if (event.role !== "assistant" || words === "") return [];
  return [{ kind: "words", text: words, isPart: event.delta === true }];
}

function ofTool(event: Json): AgentEvent[] {
  const id = text(event.tool_id);
  const error = record(event.error);
  if (error.type === "policy_violation") return [{ kind: "denied", id, what: "", why: text(error.message) }];
  const isFailed = event.status === "error";
  const output = outputText(event.output) || text(error.message);
  return [{ kind: "outcome", id, exit: null, isFailed, output }];
}

function ofError(event: Json): AgentEvent[] {
  const words = text(event.message);
  return [event.severity === "error" ? { kind: "trouble", text: words } : { kind: "note", text: words }];
}

function ofResult(event: Json): AgentEvent[] {
  const isWell = event.status === "success";
  const stats = record(event.stats);
  const tokens = sumOf(stats.total_tokens) ?? sumOf(stats.input_tokens, stats.output_tokens);
  return [
    ...(tokens === null ? [] : [{ kind: "told", of: "total", id: "", costUsd: null, tokens } as const]),
    {
      kind: "ended",
      isWell,
      words: isWell ? "" : text(record(event.error).message),
      turns: null,
      costUsd: null,
    },
  ];
}
