import { randomUUID } from "node:crypto";
import { argsOf, type Item, list, type Protocol, record, textOf } from "./conversation.ts";
import { openaiFault } from "./openai.ts";

/**
 * Chat completions, as opencode, qwen and most local models speak them. @see
 * https://platform.openai.com/docs/api-reference/chat
 */
export const chat: Protocol = {
  read(body) {
    const { model, messages, tools, stream, response_format } = record(body);
    return {
      model: String(model),
      items: list(messages).flatMap(itemsOf),
      tools: list(tools).map((tool) => {
        const { name, parameters } = record(record(tool).function);
        return { name: String(name), args: argsOf(parameters), isFreeform: false };
      }),
      isStream: stream === true,
      wantsJson: response_format !== undefined && record(response_format).type !== "text",
    };
  },

  write({ text, call }, { model }) {
    const head = { id: `chatcmpl-${randomUUID()}`, created: 1, model };
    const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
    const said = call === null ? null : { name: call.tool, arguments: JSON.stringify(call.input) };
    const calls = said === null ? [] : [{ id: `call_${randomUUID()}`, type: "function", function: said }];
    const reason = call === null ? "stop" : "tool_calls";
    const chunk = (delta: unknown, finish: string | null, more = {}) => ({
      event: null,
      data: {
        ...head,
        ...{ object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }] },
        ...more,
      },
    });
    const withCalls = calls.length === 0 ? {} : { tool_calls: calls };
    return {
      document: {
        ...{ ...head, object: "chat.completion", usage },
        choices: [
          { index: 0, finish_reason: reason, message: { role: "assistant", content: text, ...withCalls } },
        ],
      },
      events: [
        chunk({ role: "assistant", content: text }, null),
        ...calls.map((one) => chunk({ tool_calls: [{ index: 0, ...one }] }, null)),
        chunk({}, reason, { usage }),
      ],
      end: "[DONE]",
    };
  },

  fault: openaiFault,
};

function itemsOf(message: unknown): Item[] {
  const { role, content, tool_calls } = record(message);
  if (role === "tool") return [{ kind: "result", text: textOf(content) }];
  if (role === "user") return [{ kind: "user", text: textOf(content) }];
  if (role !== "assistant") return [];
  const text = textOf(content);
  const calls = list(tool_calls).map(
    (call): Item => ({
      kind: "call",
      tool: String(record(record(call).function).name),
    }),
  );
  return [...(text === "" ? [] : [{ kind: "assistant", text } as const]), ...calls];
}
