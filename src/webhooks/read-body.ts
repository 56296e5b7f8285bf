import type { Request, Response } from "express";
import type { Allowance } from "./body-budget.ts";

/** A request's raw bytes, or why they were not read to their end; `no-room`: too many bodies are read. */
export type Body =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  | { readonly kind: "no-room" }
  | { readonly kind: "cut" };

export interface BodyReading {
  readonly maxBytes: number;
  /** Of what all bodies may hold. */
  readonly allowance?: Pick<Allowance, "take">;
  /** Told of all that arrives and is kept. */
  readonly hear?: (chunk: Buffer) => void;
}

/**
 * Reads a request's body of at most `maxBytes`. What announces more, or sends more, is known at that moment:
 * whoever sends a hundred megabytes is not listened to until the last of them.
 */
export function readBody(request: Request, { maxBytes, allowance, hear }: BodyReading): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes)
    return Promise.resolve({ kind: "too-large" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isOver = false;
    const end = (why: "too-large" | "no-room") => {
      isOver = true;
      chunks.length = 0;
      resolve({ kind: why });
    };
    request.on("data", (chunk: Buffer) => {
      if (isOver) return;
      bytes += chunk.length;
      if (bytes > maxBytes) return end("too-large");
      if (allowance?.take(chunk.length) === false) return end("no-room");
      chunks.push(chunk);
      hear?.(chunk);
    });
    request.on("end", () => resolve({ kind: "bytes", bytes: Buffer.concat(chunks) }));
    request.on("error", () => resolve({ kind: "cut" }));
    request.on("close", () => resolve({ kind: "cut" }));
  });
}

/**
 * Of a body that is not wanted so much is taken and forgotten, so that its sender hears why; whoever
 * sends more is cut off.
 */
const MOST_FORGOTTEN_BYTES = 256 * 1024 * 1024;

/**
 * Answers a request whose body is not wanted, at once, and closes the connection when the sender has
 * come to its end. Closing it while bytes still come would reset it, and the sender would lose the answer
 * before reading it. A sender that never ends is cut off by the server's time limit for a request.
 */
export function refuseBody(
  request: Request,
  response: Response,
  { status, message }: { readonly status: 401 | 413 | 503; readonly message: string },
): void {
  const said = Buffer.from(JSON.stringify({ error: message }));
  response.status(status).set({ "Content-Type": "application/json; charset=utf-8", Connection: "close" });
  // With its length the answer is whole for its reader before the connection ends.
  response.set("Content-Length", String(said.length)).write(said);
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MOST_FORGOTTEN_BYTES) response.end();
  });
  const end = () => void response.end();
  request.once("end", end).once("close", end).once("error", end);
  if (request.readableEnded) end();
  request.resume();
}
