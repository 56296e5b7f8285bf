/** What one line of an agent's event stream says: tools it called, with what, and what it said. */
export interface Told {
  readonly calls: readonly string[];
  readonly texts: readonly string[];
}

/**
 * Reads a line of the JSON event streams of the presets (claude and qwen, codex, opencode, gemini); null
 * where the line is no event.
 */
export function readEvent(line: string): Told | null {
  if (!line.startsWith("{")) return null;
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return null;
  }
  const type = text(event, "type");
  if (type === null) return null;
  const parts = [event, field(event, "part"), ...list(field(field(event, "message"), "content"))];
  if (type === "item.completed") parts.push(field(event, "item"));
  const told = parts.map(readPart);
  return { calls: told.flatMap((one) => one.calls), texts: told.flatMap((one) => one.texts) };
}

const NOTHING: Told = { calls: [], texts: [] };

function readPart(part: unknown): Told {
  switch (text(part, "type")) {
    // claude, qwen; gemini calls its fields otherwise.
    case "tool_use":
      return called(text(part, "name") ?? text(part, "tool_name"), {
        input: field(part, "input") ?? field(part, "parameters"),
      });
    // opencode tells a call several times: when it is done, once.
    case "tool": {
      const state = field(part, "state");
      const isDone = ["completed", "error"].includes(text(state, "status") ?? "");
      return isDone ? called(text(part, "tool"), { input: field(state, "input") }) : NOTHING;
    }
    case "command_execution":
      return called("runs", { input: field(part, "command") });
    case "mcp_tool_call":
      return called(text(part, "tool"), { input: field(part, "arguments") });
    case "text":
    case "agent_message": {
      const said = text(part, "text");
      return said === null ? NOTHING : { calls: [], texts: [said] };
    }
    default:
      return NOTHING;
  }
}

function called(name: string | null, { input }: { readonly input: unknown }): Told {
  if (name === null) return NOTHING;
  const words = typeof input === "string" ? input : (text(input, "command") ?? JSON.stringify(input ?? null));
  return { calls: [`${name} ${words}`], texts: [] };
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function text(value: unknown, name: string): string | null {
  const found = field(value, name);
  return typeof found === "string" ? found : null;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
