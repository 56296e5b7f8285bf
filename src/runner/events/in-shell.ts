/**
 * What a shell was told to run: `bash -lc 'npm test'` is `npm test`. Any other command line stays as it is.
 * Pure.
 */
export function inShell(line: string): string {
  const rest = /^(?:\/[\w./-]{1,200}\/)?(?:ba|da|z|k)?sh -l?c (.+)$/s.exec(line)?.[1];
  return rest === undefined ? line : (oneWord(rest) ?? line);
}

/** The text of one word of a shell's command line; null where there are several, or one that does not end. */
function oneWord(quoted: string): string | null {
  let word = "";
  for (let rest = quoted; rest !== ""; ) {
    const part = /^'([^']*)'|^"((?:[^"\\]|\\[\s\S])*)"|^\\([\s\S])|^([^\s'"\\]+)/.exec(rest);
    if (part === null) return null;
    const [all, single, double, escaped, bare] = part;
    word += single ?? double?.replace(/\\([$`"\\\n])/g, "$1") ?? escaped ?? bare ?? "";
    rest = rest.slice(all.length);
  }
  return word;
}
