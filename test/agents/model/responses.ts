import { randomUUID } from "node:crypto";
import { argsOf, type Item, list, type Protocol, record, type Tool, textOf } from "./conversation.ts";
import { openaiFault } from "./openai.ts";

/**
 * The Responses API, as codex speaks it. @see
 * https://platform.openai.com/docs/api-reference/responses-streaming
 */
export const responses: Protocol = {
  read(body) {
    const { model, input, tools, stream } = record(body);
    return {
      model: String(model),
      items: typeof input === "string" ? [{ kind: "user", text: input }] : list(input).flatMap(itemsOf),
      tools: list(tools).map(toolOf),
      isStream: stream === true,
      wantsJson: false,
    };
  },

  write({ text, call }, { model }) {
    const output: Record<string, unknown>[] = [];
    if (text !== "") {
      const content = [{ type: "output_text", text, annotations: [] }];
      output.push({
        type: "message",
        id: `msg_${randomUUID()}`,
        role: "assistant",
        status: "completed",
        content,
      });
    }
    if (call !== null) {
      const ids = { id: `fc_${randomUUID()}`, call_id: `call_${randomUUID()}`, name: call.tool };
      output.push(
        typeof call.input === "string"
          ? { type: "custom_tool_call", ...ids, input: call.input, status: "completed" }
          : { type: "function_call", ...ids, arguments: JSON.stringify(call.input), status: "completed" },
      );
    }
    const response = {
      id: `resp_${randomUUID()}`,
      object: "response",
      created_at: 1,
      model,
      status: "completed",
    };
    const usage = {
      ...{ input_tokens: 100, input_tokens_details: { cached_tokens: 0 } },
      ...{ output_tokens: 20, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 120 },
    };
    const whole = { ...response, output, usage };
    return {
      document: whole,
      events: [
        { type: "response.created", response: { ...response, status: "in_progress", output: [] } },
        ...output.flatMap((item, index) => [
          { type: "response.output_item.added", output_index: index, item },
          { type: "response.output_item.done", output_index: index, item },
        ]),
        { type: "response.completed", response: whole },
      ].map((data) => ({ event: data.type, data })),
      end: null,
    };
  },

  fault(fault) {
    // The limit of a subscription, which is what most people meet with codex.
    if (fault !== "limited") return openaiFault(fault);
    const resets = { resets_at: Math.floor(Date.now() / 1_000) + 3_600, resets_in_seconds: 3_600 };
    const error = {
      type: "usage_limit_reached",
      message: "The usage limit has been reached",
      plan_type: "plus",
    };
    return { status: 429, headers: {}, body: { error: { ...error, ...resets } } };
  },
};

function toolOf(tool: unknown): Tool {
  const { name, type, parameters } = record(tool);
  return { name: String(name ?? type), args: argsOf(parameters), isFreeform: type === "custom" };
}

function itemsOf(one: unknown): Item[] {
  const { type, role, content, name, output } = record(one);
  switch (type) {
    case "function_call":
    case "custom_tool_call":
    case "local_shell_call":
      return [{ kind: "call", tool: String(name) }];
    case "function_call_output":
    case "custom_tool_call_output":
    case "local_shell_call_output":
      return [{ kind: "result", text: textOf(output) }];
    case "reasoning":
      return [];
    default:
      if (role === "assistant") return [{ kind: "assistant", text: textOf(content) }];
      return role === "user" ? [{ kind: "user", text: textOf(content) }] : [];
  }
}
