import * as z from "zod";
import { toIso } from "../../clock.ts";
import type { HeartbeatWords } from "../../protocol/runner-port.ts";
import type { AgentBeat } from "../../protocol/shapes.ts";
import { plain } from "../../visible.ts";
import { type Heartbeat, writeHeartbeat } from "../disk/directory.ts";

/** More than this is no heartbeat. */
export const BEAT_BYTES = 4 * 1024;
const STATE_CHARS = 40;
const MESSAGE_CHARS = 200;

const said = z.object({
  state: z.string(),
  message: z.string().nullish(),
  progress: z.union([z.number().min(0).max(1), z.string()]).nullish(),
});

/**
 * Reads a heartbeat, `{state, message?, progress?}` in JSON; null where it is none. Words are cut to what a
 * card has room for, secrets hidden, control and invisible characters gone; whoever shows them still has to
 * defuse them.
 */
export function readBeat(text: string, redact: (text: string) => string): HeartbeatWords | null {
  if (Buffer.byteLength(text) > BEAT_BYTES) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = said.safeParse(value);
  if (!parsed.success) return null;
  // Before, since an escape sequence swallows a character of what follows; after, since what was between the
  // halves of a secret is gone.
  const hidden = (from: string) => redact(plain(redact(from)));
  const words = (from: string, chars: number) => cut(hidden(from).replace(/\s+/g, " ").trim(), chars);
  const { state, message, progress } = parsed.data;
  const named = words(state, STATE_CHARS);
  if (named === "") return null;
  return {
    state: named,
    message: words(message ?? "", MESSAGE_CHARS) || null,
    progress: typeof progress === "string" ? words(progress, STATE_CHARS) || null : (progress ?? null),
  };
}

function cut(text: string, chars: number): string {
  const letters = Array.from(text);
  return letters.length > chars ? `${letters.slice(0, chars - 1).join("")}…` : text;
}

/** Writes an agent's heartbeat to `state/heartbeat.json`: it is the last one. */
export function writeAgentBeat(cellDir: string, beat: AgentBeat): Promise<void> {
  return writeHeartbeat(cellDir, asFile(beat));
}

/** Writes the runner's own heartbeat, beside what the agent said last. */
export function writeRunnerBeat(cellDir: string, at: number, agents: AgentBeat | null): Promise<void> {
  const own: Heartbeat = { at: toIso(at), state: "running", by: "runner" };
  return writeHeartbeat(cellDir, agents === null ? own : { ...own, agent: asFile(agents) });
}

function asFile(beat: AgentBeat) {
  const { at, state, message, progress, by } = beat;
  return {
    ...{ at: toIso(at), state, by },
    ...(message === null ? {} : { message }),
    ...(progress === null ? {} : { progress }),
  };
}
