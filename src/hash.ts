import { createHash } from "node:crypto";

/** SHA-256 of a text's UTF-8 bytes, in hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** What is compared to tell whether an issue's text changed. */
export function issueHash(title: string, body: string): string {
  return sha256(JSON.stringify([title, body]));
}
