import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { LazarusError } from "../errors.ts";

/** All keys of runners, and of the git gate, come from one secret of control. None of them is stored. */
const KEY_BYTES = 32;
const SALT = "lazarus runners 1";

function derive(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, SALT, purpose, KEY_BYTES));
}

/** The key that a runner is given when it joins. A higher generation is another key. */
export function runnerKey(master: Uint8Array, name: string, generation: number): Buffer {
  return derive(master, `runner ${name} ${generation}`);
}

/** The two keys made from a runner's: one for what it is told, one for what it says. */
export function wayKeys(runner: Uint8Array): { readonly to: Buffer; readonly from: Buffer } {
  return { to: derive(runner, "to the runner"), from: derive(runner, "from the runner") };
}

/** Marks a text so that only whoever has the secret could have: for passes that are stored nowhere. */
export function markOf(master: Uint8Array, purpose: string, text: string): string {
  return createHmac("sha256", derive(master, purpose)).update(text).digest("base64url");
}

/** Compares in constant time. */
export function isMark(given: string, right: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

const joinLine = z.object({
  name: z.string(),
  generation: z.number().int().positive(),
  /** Of the runner, 64 hex digits. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** Names the registry it belongs to: before the names of its queues. */
  prefix: z.string(),
  /** Where control's git gate is reached. */
  gate: z.string(),
});
/** What a runner must know of its control. */
export type JoinLine = z.infer<typeof joinLine>;

const JOIN = "lazarus-runner-1.";

export function writeJoinLine(line: JoinLine): string {
  return `${JOIN}${Buffer.from(JSON.stringify(line)).toString("base64url")}`;
}

/** @throws LazarusError `configuration` for what is none. */
export function readJoinLine(text: string): JoinLine {
  const trimmed = text.trim();
  try {
    if (!trimmed.startsWith(JOIN)) throw new Error("it does not begin as one");
    return joinLine.parse(JSON.parse(Buffer.from(trimmed.slice(JOIN.length), "base64url").toString("utf8")));
  } catch {
    throw new LazarusError(
      "configuration",
      "runner.join: it is not a line that `lazarus runner add` printed, or it is cut; copy it whole, or make another with `lazarus runner rotate NAME`",
    );
  }
}
