/**
 * What the heartbeat token of every cell begins with; 64 hex digits follow. By its form it is hidden in every
 * process, whoever made it.
 */
export const CELL_TOKEN_PREFIX = "lazarus-beat-";

/**
 * What a secret looks like where programs encode it whole: JSON, HTML, percent-encoding, hex, and base64 at
 * any of its three alignments, also URL-safe.
 */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  const text = bytes.toString("utf8");
  const json = JSON.stringify(text).slice(1, -1);
  const hex = bytes.toString("hex");
  const url = encodeURIComponent(text);
  const strict = url.replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
  const html = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const base64 = [0, 1, 2].map((shift) => base64Core(bytes, shift));
  return [
    text,
    json,
    // Go's JSON writes these for the sake of HTML; others write all that is not ASCII so.
    json.replace(/[<>&]/g, unicodeEscape),
    json.replace(/[^\x20-\x7E]/g, unicodeEscape),
    html,
    html.replaceAll('"', "&quot;").replaceAll("'", "&#39;"),
    ...[url, strict, encodeURI(text)],
    ...[text, url, strict].map((form) => form.replaceAll("%20", "+").replaceAll(" ", "+")),
    // Bytes that are no ASCII are not decoded one by one.
    ...(/^[\x20-\x7E]*$/.test(text) ? [] : [hex.replace(/../g, "%$&")]),
    hex,
    ...base64,
    ...base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_")),
  ];
}

/**
 * Where cells' tokens stand, whole or cut off: plain, in hex, percent-encoded, and in base64 at all three
 * alignments.
 */
export const CELL_TOKENS = cellTokenForms();

function cellTokenForms(): RegExp {
  const prefix = Buffer.from(CELL_TOKEN_PREFIX, "utf8");
  const hex = prefix.toString("hex");
  const forms = [
    `${CELL_TOKEN_PREFIX}[0-9a-f]{8,64}`,
    `${hex}[0-9a-f]{16,128}`,
    `${hex.replace(/../g, "%$&")}(?:%[0-9a-f]{2}){8,64}`,
    // 64 hex digits are 86 characters of base64, and up to two more that the last ones share with what
    // follows.
    ...[0, 1, 2].map((shift) => `${base64Core(prefix, shift)}[A-Za-z0-9+/_-]{11,88}={0,2}`),
  ];
  return new RegExp(forms.join("|"), "gi");
}

/** The characters of base64 that depend on the secret alone when `shift` bytes (modulo 3) stand before it. */
function base64Core(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
    .toString("base64")
    .replace(/=+$/, "");
  const isWhole = (shift + bytes.length) % 3 === 0;
  return encoded.slice(shift === 0 ? 0 : shift + 1, isWhole ? undefined : -1);
}

function unicodeEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
