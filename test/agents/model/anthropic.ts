import { randomUUID } from "node:crypto";
import { argsOf, type Item, list, type Protocol, record, textOf } from "./conversation.ts";

/** The Messages API, as claude speaks it. @see https://docs.anthropic.com/en/api/messages */
export const anthropic: Protocol = {
  read(body) {
    const { model, messages, tools, stream } = record(body);
    return {
      model: String(model),
      items: list(messages).flatMap(itemsOf),
      tools: list(tools).map((tool) => {
        const { name, input_schema } = record(tool);
        return { name: String(name), args: argsOf(input_schema), isFreeform: false };
      }),
      isStream: stream === true,
      wantsJson: false,
    };
  },

  write({ text, call }, { model }) {
    const usage = { input_tokens: 100, output_tokens: 20 };
    const message = {
      id: `msg_${randomUUID().replaceAll("-", "")}`,
      ...{ type: "message", role: "assistant", model, stop_sequence: null },
    };
    const id = `toolu_${randomUUID().replaceAll("-", "").slice(0, 24)}`;
    const blocks: Record<string, unknown>[] = [
      ...(text === "" ? [] : [{ type: "text", text }]),
      ...(call === null ? [] : [{ type: "tool_use", id, name: call.tool, input: call.input }]),
    ];
    const reason = call === null ? "end_turn" : "tool_use";
    const named = (data: { type: string }) => ({ event: data.type, data });
    return {
      document: { ...message, content: blocks, stop_reason: reason, usage },
      events: [
        { type: "message_start", message: { ...message, content: [], stop_reason: null, usage } },
        ...blocks.flatMap((block, index) => blockEvents(block, index)),
        { type: "message_delta", delta: { stop_reason: reason, stop_sequence: null }, usage },
        { type: "message_stop" },
      ].map(named),
      end: null,
    };
  },

  fault(fault) {
    const refuse = (status: number, type: string, message: string, headers = {}) => ({
      status,
      headers,
      body: { type: "error", error: { type, message }, request_id: "req_pretended" },
    });
    const resets = new Date(Date.now() + 3_600_000).toISOString();
    switch (fault) {
      case "unauthorized":
        return refuse(401, "authentication_error", "invalid x-api-key");
      case "limited":
        return refuse(429, "rate_limit_error", "This request would exceed your organization's rate limit", {
          "retry-after": "3600",
          "anthropic-ratelimit-requests-reset": resets,
        });
      case "no-credit": {
        const words = "Your credit balance is too low to access the Anthropic API.";
        const more = " Please go to Plans & Billing to upgrade or purchase credits.";
        return refuse(400, "invalid_request_error", words + more);
      }
      case "overloaded":
        return refuse(529, "overloaded_error", "Overloaded");
    }
  },
};

function blockEvents(block: Record<string, unknown>, index: number): { type: string }[] {
  const isText = block.type === "text";
  const empty = isText ? { type: "text", text: "" } : { ...block, input: {} };
  const delta = isText
    ? { type: "text_delta", text: block.text }
    : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
  return [
    { type: "content_block_start", index, content_block: empty } as { type: string },
    { type: "content_block_delta", index, delta } as { type: string },
    { type: "content_block_stop", index } as { type: string },
  ];
}

function itemsOf(message: unknown): Item[] {
  const { role, content } = record(message);
  const kind = role === "assistant" ? "assistant" : "user";
  if (typeof content === "string") return [{ kind, text: content }];
  return list(content).flatMap((block): Item[] => {
    const { type, name, text, content: inner } = record(block);
    if (type === "tool_use") return [{ kind: "call", tool: String(name) }];
    if (type === "tool_result") return [{ kind: "result", text: textOf(inner) }];
    return type === "text" ? [{ kind, text: textOf(text) }] : [];
  });
}
