// How texts of people and repositories are put before an agent: by control in briefs and prompts, by runners
// in what they found.

/**
 * Removes what people do not see but an agent would read: HTML comments, zero-width and direction characters,
 * control characters other than newline and tab. Line ends become LF.
 */
export function clean(text: string): string {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(/<!--[\s\S]*?(-->|$)/g, "")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")
    .replace(INVISIBLE, "")
    .trim();
}

/**
 * Characters that people do not see: soft hyphens, fillers, zero-width and direction marks, variation
 * selectors, tags.
 */
const INVISIBLE =
  /\p{Cf}|\u115f|\u1160|\u3164|\uffa0|\u034f|\u17b4|\u17b5|[\u180b-\u180d]|[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]/gu;

/** The same on one line. */
export function oneLine(text: string): string {
  return clean(text).replace(/\s+/g, " ");
}

/** A fence that nothing inside can close. */
export function fence(text: string): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/[`~]+/g), (run) => run[0].length));
  const bar = "~".repeat(longest + 1);
  return `${bar}\n${text}\n${bar}`;
}
