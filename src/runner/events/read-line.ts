import { readClaude } from "./claude.ts";
import { readCodex } from "./codex.ts";
import { type AgentEvent, type EventReader, type Json, record } from "./event.ts";
import { readGemini } from "./gemini.ts";
import { readOpencode } from "./opencode.ts";

/**
 * Every format that is known: what an event looks like says whose it is, also under a command of one's own.
 */
const READERS: readonly EventReader[] = [readClaude, readCodex, readOpencode, readGemini];

/**
 * What one line of a log tells; null where it is no event of an agent that is known. Pure; any text may come.
 */
export function readLine(line: string): AgentEvent[] | null {
  if (!line.startsWith("{")) return null;
  const event = parse(line);
  if (typeof event.type !== "string") return null;
  for (const read of READERS) {
    const told = read(event);
    if (told !== null) return told;
  }
  return null;
}

function parse(line: string): Json {
  try {
    return record(JSON.parse(line));
  } catch {
    // A line that begins like an event and is none, or was cut.
    return {};
  }
}
