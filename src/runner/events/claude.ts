import { costIn } from "../../protocol/usage.ts";
import {
  type AgentEvent,
  called,
  type EventReader,
  type Json,
  list,
  number,
  outputText,
  record,
  sumOf,
  text,
} from "./event.ts";

/**
 * The stream-json of claude 2.1, whose form qwen 0.15 shares. @see test/fixtures/agents/claude,
 * test/fixtures/agents/qwen
 */
export const readClaude: EventReader = (event) => {
  switch (event.type) {
    case "system":
      return typeof event.session_id === "string" ? ofSystem(event) : null;
    case "assistant":
      return "message" in event
        ? [...partsOf(event).flatMap((part) => ofAssistant(part, event)), ...partUsed(event)]
        : null;
    case "user":
      return "message" in event ? partsOf(event).flatMap((part) => ofUser(part, event)) : null;
    case "result":
      return typeof event.is_error === "boolean" ? ofResult(event) : null;
    case "stream_event":
    case "rate_limit_event":
      return [];
    default:
      return null;
  }
};

function ofSystem(event: Json): AgentEvent[] {
  if (event.subtype === "init") {
    const version = text(event.claude_code_version) || text(event.qwen_code_version);
    const program = "claude_code_version" in event ? "claude" : "qwen";
    const mode = text(event.permissionMode) || text(event.permission_mode);
    const what = [`${program} ${version}`, text(event.model), mode].filter((one) => one.trim() !== "");
    return [{ kind: "began", what: what.join(", "), session: text(event.session_id) }];
  }
  if (event.subtype !== "api_retry") return [];
  const status = number(event.error_status);
  const why = [status === null ? "" : `status ${status}`, text(event.error)].filter((one) => one !== "");
  return [{ kind: "note", text: `asks its model again: ${why.join(", ") || "no answer"}` }];
}

function partsOf(event: Json): Json[] {
  const { content } = record(event.message);
  return typeof content === "string" ? [{ type: "text", text: content }] : list(content).map(record);
}

function ofAssistant(part: Json, { parent_tool_use_id: parent }: Json): AgentEvent[] {
  const words = text(part.text);
  switch (part.type) {
    case "text":
      if (words.trim() === "") return [];
      // qwen says so where its answer would be.
      if (words.startsWith("[API Error")) return [{ kind: "trouble", text: words }];
      // Of a helper that it asked, not of itself.
      return [
        typeof parent === "string"
          ? { kind: "note", text: words }
          : { kind: "words", text: words, isPart: false },
      ];
    case "thinking":
      return [{ kind: "note", text: text(part.thinking) }];
    case "tool_use":
      return [called(part.id, part.name, part.input)];
    default:
      return [];
  }
}

/** How claude's shell begins what it says of a command that failed. */
const EXIT = /^Exit code (\d{1,3})(?:\n|$)/;

function ofUser(part: Json, { tool_use_result: result }: Json): AgentEvent[] {
  if (part.type !== "tool_result") return [];
  const output = outputText(part.content);
  const code = part.is_error === true ? EXIT.exec(output) : null;
  const isOver =
    part.is_error === false && "stdout" in record(result) && !("backgroundTaskId" in record(result));
  return [
    {
      kind: "outcome",
      id: text(part.tool_use_id),
      exit: code !== null ? Number(code[1]) : isOver ? 0 : null,
      isFailed: part.is_error === true,
      output: code === null ? output : output.slice(code[0].length),
    },
  ];
}

/** Each part of one answer bears the usage of all of it, under the answer's id. */
function partUsed(event: Json): AgentEvent[] {
  const { id, usage } = record(event.message);
  const tokens = tokensOf(record(usage));
  return tokens === null ? [] : [{ kind: "told", of: "part", id: text(id), costUsd: null, tokens }];
}

function tokensOf(usage: Json): number | null {
  return sumOf(
    ...[usage.input_tokens, usage.output_tokens],
    ...[usage.cache_read_input_tokens, usage.cache_creation_input_tokens],
  );
}

/**
 * Helpers that it asks are in `modelUsage` alone. Where it goes on with a session claude 2.1.197 tells what
 * this run used, 2.1.332 and qwen 0.15 what all of the session did.
 */
function totalUsed(event: Json): AgentEvent[] {
  const models = Object.values(record(event.modelUsage)).map(record);
  const counts = models.flatMap((one) => [
    ...[one.inputTokens, one.outputTokens, one.cacheReadInputTokens, one.cacheCreationInputTokens],
  ]);
  const tokens = sumOf(...counts) ?? tokensOf(record(event.usage));
  const costUsd = costIn(event.total_cost_usd);
  return tokens === null && costUsd === null
    ? []
    : [{ kind: "told", of: "total", id: "", isOfSession: true, costUsd, tokens }];
}

function ofResult(event: Json): AgentEvent[] {
  const words =
    text(event.result) || list(event.errors).map(text).join("; ") || text(record(event.error).message);
  const isWell = event.is_error === false && !words.startsWith("[API Error");
  const denied = list(event.permission_denials).map((one): AgentEvent => {
    const { tool_use_id: id, tool_name: tool, tool_input: input } = record(one);
    const call = called(id, tool, input);
    const what =
      call.kind === "ran" ? call.command : call.kind === "used" ? `${call.tool} ${call.on}`.trim() : "";
    return { kind: "denied", id: text(id), what, why: "" };
  });
  const [turns, costUsd] = [number(event.num_turns), number(event.total_cost_usd)];
  return [
    ...denied,
    ...totalUsed(event),
    { kind: "ended", isWell, words: words || (isWell ? "" : text(event.subtype)), turns, costUsd },
  ];
}
