/**
 * What a command names: a repository, a thread in one, or a thread of the repository in which it was typed
 * (`owner` null).
 */
export type NamedTarget =
  | { readonly owner: string; readonly name: string; readonly number: number | null }
  | { readonly owner: null; readonly name: null; readonly number: number };

const NAME = "[A-Za-z0-9_.-]{1,100}";
const NUMBER = "[1-9]\\d{0,8}";
const HERE = new RegExp(`^#?(${NUMBER})$`);
const FULL = new RegExp(`^(${NAME})/(${NAME})(?:#(${NUMBER}))?$`);
const PATH = new RegExp(`^/(${NAME})/(${NAME})(?:/(?:issues|pulls)/(${NUMBER})(?:/[a-z]+)?)?/?$`);

/**
 * Reads `owner/repo`, `owner/repo#262`, `#262`, `262`, and addresses below `forgeUrl` of a repository, an
 * issue or a pull request; null for everything else, other forges' addresses among it.
 */
export function parseTarget(text: string, forgeUrl: string): NamedTarget | null {
  const here = HERE.exec(text)?.[1];
  if (here !== undefined) return { owner: null, name: null, number: Number(here) };
  const match = /^https?:\/\//i.test(text) ? PATH.exec(pathBelow(text, forgeUrl) ?? "") : FULL.exec(text);
  const [, owner, name, number] = match ?? [];
  if (owner === undefined || name === undefined || [owner, name].some((each) => /^\.+$/.test(each)))
    return null;
  return { owner, name, number: number === undefined ? null : Number(number) };
}

/** The path of an address below the forge's own; http and https are the same forge. */
function pathBelow(text: string, forgeUrl: string): string | null {
  if (!URL.canParse(text) || !URL.canParse(forgeUrl)) return null;
  const [url, forge] = [new URL(text), new URL(forgeUrl)];
  const root = forge.pathname.replace(/\/+$/, "");
  if (url.host !== forge.host || !url.pathname.startsWith(`${root}/`)) return null;
  return url.pathname.slice(root.length);
}
