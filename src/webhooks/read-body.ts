import type { Request } from "express";

/** A request's raw bytes, or why they were not read to their end. */
export type Body =
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  | { readonly kind: "too-large" }
  | { readonly kind: "cut" };

/**
 * Reads a request's body of at most `maxBytes`. What announces more, or sends more, is known at that moment: whoever sends a hundred
 * megabytes is not listened to until the last of them.
 */
export function readBody(request: Request, maxBytes: number): Promise<Body> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes)
    return Promise.resolve({ kind: "too-large" });
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) return void chunks.push(chunk);
      chunks.length = 0;
      resolve({ kind: "too-large" });
    });
    request.on("end", () => resolve({ kind: "bytes", bytes: Buffer.concat(chunks) }));
    request.on("error", () => resolve({ kind: "cut" }));
    request.on("close", () => resolve({ kind: "cut" }));
  });
}
