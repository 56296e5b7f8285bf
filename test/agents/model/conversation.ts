/** One thing that was said in a conversation with a model, whatever the vendor's words for it are. */
export type Item =
  | { readonly kind: "user"; readonly text: string }
  | { readonly kind: "assistant"; readonly text: string }
  | { readonly kind: "call"; readonly tool: string }
  | { readonly kind: "result"; readonly text: string };

/** A tool that the agent offers. */
export interface Tool {
  readonly name: string;
  /** Names and types of its arguments, as far as they are told. */
  readonly args: Readonly<Record<string, string>>;
  /** It takes one text and no JSON (codex: apply_patch). */
  readonly isFreeform: boolean;
}

/** A request of an agent, as the script reads it. */
export interface Conversation {
  readonly model: string;
  readonly items: readonly Item[];
  readonly tools: readonly Tool[];
  readonly isStream: boolean;
  /** The agent wants JSON and no prose (gemini asks itself who speaks next). */
  readonly wantsJson: boolean;
}

/** A call of a tool: `input` is JSON unless the tool is freeform. */
export interface Call {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>> | string;
}

/** How a vendor refuses. */
export const FAULTS = ["unauthorized", "limited", "no-credit", "overloaded"] as const;
export type Fault = (typeof FAULTS)[number];

/** What the model answers. */
export type Reply =
  | { readonly kind: "say"; readonly text: string }
  | { readonly kind: "call"; readonly text: string; readonly call: Call }
  | { readonly kind: "fault"; readonly fault: Fault }
  | { readonly kind: "hang" };

/** A vendor's protocol: how its requests are read and its answers are written. */
export interface Protocol {
  read(body: unknown, path: string): Conversation;
  /** The events of a stream, or one whole document. */
  write(reply: { readonly text: string; readonly call: Call | null }, to: Conversation): Written;
  fault(fault: Fault): Refusal;
}

export interface Written {
  /** Server-sent events where it streams: name (or null) and data. */
  readonly events: readonly { readonly event: string | null; readonly data: unknown }[];
  /** The same where it does not stream. */
  readonly document: unknown;
  /** Chat completions end their stream with this word. */
  readonly end: string | null;
}

export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A value as an object; an empty one where it is none. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The text of a string, a part with `text`, or a list of them. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value))
    return value
      .map(textOf)
      .filter((text) => text !== "")
      .join("\n");
  const { text, content, output } = record(value);
  return textOf(text ?? content ?? output ?? "");
}

/** Names and types of the arguments in a JSON schema. */
export function argsOf(schema: unknown): Record<string, string> {
  const properties = record(record(schema).properties);
  return Object.fromEntries(
    Object.entries(properties).map(([name, one]) => [name, String(record(one).type)]),
  );
}
