/** Escape sequences of a terminal: CSI, OSC (up to its end or the next one), and the two-character ones. */
const ANSI =
  /(?:\x1B\[|\x9B)[0-?]*[ -/]*[@-~]|(?:\x1B\]|\x9D)[^\x07\x1B\x9C]*(?:\x07|\x1B\\|\x9C)?|\x1B[ -/]*[0-~]/g;

/** Control characters but tab and line feed; a carriage return was made a line feed before. */
const CONTROL = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;

/**
 * What is not seen or turns the direction of reading: format characters (bidi, zero width, tags), fillers,
 * and variation selectors but the two that choose how an emoji looks.
 */
const INVISIBLE =
  /\p{Cf}|\u034F|[\u115F\u1160\u17B4\u17B5\u3164\uFFA0]|[\u180B-\u180F\uFE00-\uFE0D]|[\u{E0100}-\u{E01EF}]/gu;

/**
 * Text of others as one sees it: without terminal escapes, control, bidi and zero-width characters; lines end
 * with `\n`, tabs stay. Linear in its length.
 */
export function plain(text: string): string {
  return text
    .replace(ANSI, "")
    .replace(/\r\n?|[\u2028\u2029\u0085]/g, "\n")
    .replace(CONTROL, "")
    .replace(INVISIBLE, "")
    .replace(/\p{Cs}/gu, "\uFFFD");
}

/** The first `maxBytes` bytes of a text in UTF-8, without half a character. */
export function firstBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text.slice(0, maxBytes), "utf8");
  if (bytes.length <= maxBytes) return bytes.toString("utf8");
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end).toString("utf8");
}

/** The last `maxBytes` bytes of a text in UTF-8, without half a character. */
export function lastBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text.slice(-maxBytes), "utf8");
  if (bytes.length <= maxBytes) return bytes.toString("utf8");
  let start = bytes.length - maxBytes;
  while (start < bytes.length && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++;
  return bytes.subarray(start).toString("utf8");
}
