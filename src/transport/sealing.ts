import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import * as z from "zod";

/**
 * What stands readable on a sealed message, and cannot be changed: which of the sender's keys sealed it, in
 * which life of control (`epoch`, 0: not known yet) and of the runner (`incarnation`), and the how-manyth it
 * is there.
 */
const header = z.object({
  generation: z.number().int(),
  epoch: z.number().int(),
  incarnation: z.string().max(64),
  number: z.number().int(),
});
export type Header = z.infer<typeof header>;

/** As much as a message may hold, in bytes of JSON. */
export const MOST_MESSAGE_BYTES = 1024 * 1024;
/** Base64 of that, with header and tag. */
const MOST_SEALED_CHARS = Math.ceil((MOST_MESSAGE_BYTES + 1024) * 1.4);
const MOST_HEADER_BYTES = 512;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Seals a text with AES-256-GCM: header length (2 bytes), header, nonce, tag, ciphertext, in base64.
 * `queue` is authenticated too, so that a message of one queue is none in another.
 */
export function seal(
  key: Uint8Array,
  queue: string,
  { header, text }: { header: Header; text: string },
): string {
  const head = Buffer.from(JSON.stringify(header));
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  cipher.setAAD(Buffer.concat([Buffer.from(`${queue}\0`), head]));
  const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(head.length);
  return Buffer.concat([length, head, iv, cipher.getAuthTag(), body]).toString("base64");
}

/**
 * Opens what was sealed for this queue. `keyOf`: the key of a generation; null where none holds. Answers
 * null for anything else, whatever it is.
 */
export function unseal(
  keyOf: (generation: number) => Uint8Array | null,
  queue: string,
  sealed: unknown,
): { readonly header: Header; readonly text: string } | null {
  if (typeof sealed !== "string" || sealed.length > MOST_SEALED_CHARS) return null;
  try {
    const bytes = Buffer.from(sealed, "base64");
    const length = bytes.readUInt16BE(0);
    if (length > MOST_HEADER_BYTES) return null;
    const head = bytes.subarray(2, 2 + length);
    const read = header.parse(JSON.parse(head.toString("utf8")));
    const key = keyOf(read.generation);
    if (key === null) return null;
    const rest = bytes.subarray(2 + length);
    const decipher = createDecipheriv("aes-256-gcm", key, rest.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.concat([Buffer.from(`${queue}\0`), head]));
    decipher.setAuthTag(rest.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const body = rest.subarray(IV_BYTES + TAG_BYTES);
    const text = Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
    return { header: read, text };
  } catch {
    // Whatever it is, nobody who has the key wrote it: whoever counts these says so.
    return null;
  }
}
