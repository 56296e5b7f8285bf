import {
  type AgentEvent,
  type EventReader,
  type Json,
  list,
  number,
  outputText,
  record,
  sumOf,
  text,
} from "./event.ts";
import { inShell } from "./in-shell.ts";

/** The events of `codex exec --json`, 0.171. @see test/fixtures/agents/codex */
export const readCodex: EventReader = (event) => {
  switch (event.type) {
    case "thread.started":
      return [
        { kind: "began", what: `codex, session ${text(event.thread_id)}`, session: text(event.thread_id) },
      ];
    case "turn.started":
    case "item.updated":
      return [];
    case "item.started":
    case "item.completed":
      return ofItem(record(event.item), event.type === "item.completed");
    case "turn.completed":
      return [
        ...totalUsed(record(event.usage)),
        { kind: "ended", isWell: true, words: "", turns: null, costUsd: null },
      ];
    case "turn.failed":
      return [{ kind: "ended", isWell: false, words: messageOf(event.error), turns: null, costUsd: null }];
    case "error":
      return typeof event.message === "string" ? [{ kind: "trouble", text: text(event.message) }] : null;
    default:
      return null;
  }
};

/** Of its session, also where that began in an earlier run. What was cached is part of what went in. */
function totalUsed(usage: Json): AgentEvent[] {
  const tokens = sumOf(usage.input_tokens, usage.output_tokens);
  return tokens === null
    ? []
    : [{ kind: "told", of: "total", id: "", isOfSession: true, costUsd: null, tokens }];
}

function ofItem(item: Json, isDone: boolean): AgentEvent[] {
  const id = text(item.id);
  switch (item.type) {
    case "agent_message":
      return isDone && text(item.text).trim() !== ""
        ? [{ kind: "words", text: text(item.text), isPart: false }]
        : [];
    case "reasoning":
      return isDone ? [{ kind: "note", text: text(item.text) }] : [];
    case "command_execution": {
      const command = inShell(text(item.command));
      const ran: AgentEvent = { kind: "ran", id, command };
      // Told before it runs and after it: whoever reads both knows it by its id.
      return isDone ? [ran, ...ended(item, command)] : [ran];
    }
    case "file_change":
      return isDone
        ? list(item.changes)
            .slice(0, 50)
            .map((one): AgentEvent => changed(id, record(one)))
        : [];
    case "mcp_tool_call":
      return isDone ? [{ kind: "used", id, tool: text(item.tool), on: text(item.server) }] : [];
    case "web_search":
      return isDone ? [{ kind: "used", id, tool: "web_search", on: text(item.query) }] : [];
    case "error":
      return isDone ? [{ kind: "note", text: text(item.message) }] : [];
    default:
      return [];
  }
}

function ended(item: Json, command: string): AgentEvent[] {
  const [id, exit] = [text(item.id), number(item.exit_code)];
  if (item.status === "declined") return [{ kind: "denied", id, what: command, why: "" }];
  const isFailed = item.status === "failed" || (exit !== null && exit !== 0);
  return [{ kind: "outcome", id, exit, isFailed, output: outputText(item.aggregated_output) }];
}

function changed(id: string, change: Json): AgentEvent {
  return { kind: "used", id: `${id} ${text(change.path)}`, tool: text(change.kind), on: text(change.path) };
}

function messageOf(error: unknown): string {
  return typeof error === "string" ? text(error) : text(record(error).message);
}
