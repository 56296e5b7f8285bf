import { LazarusError } from "../errors.ts";
import type { RepositoryName } from "./port.ts";

/** `acme/app` in its two parts; null when it is no name of a repository. */
export function parseRepositoryName(fullName: string): RepositoryName | null {
  const [, owner, name] = /^([\w.-]+)\/([\w.-]+)$/.exec(fullName) ?? [];
  if (owner === undefined || name === undefined) return null;
  return isDots(owner) || isDots(name) ? null : { owner, name };
}

/**
 * gitea-js puts what it is given into the path as it is, so that `..` or `#` would make another call of it:
 * this encodes.
 */
export function segment(text: string): string {
  if (text === "" || isDots(text))
    throw new LazarusError("forge-refused", `${JSON.stringify(text)} is no name on a forge`);
  // encodeURIComponent throws on half a surrogate pair.
  return encodeURIComponent(text.replace(/\p{Cs}/gu, "\uFFFD"));
}

function isDots(text: string): boolean {
  return text === "." || text === "..";
}

/** Owner and name, encoded as segments of a path. */
export function segments(name: RepositoryName): [string, string] {
  return [segment(name.owner), segment(name.name)];
}

/** The same and the number of an issue, pull request or comment. */
export function numbered(name: RepositoryName, number: number): [string, string, number] {
  if (!Number.isSafeInteger(number) || number <= 0)
    throw new LazarusError("forge-refused", `${number} is no number of a thread or comment`);
  return [...segments(name), number];
}

/** `acme/app`, for people. */
export function label(name: RepositoryName): string {
  return `${name.owner}/${name.name}`;
}

/** `acme/app#3`, for people. */
export function thread(name: RepositoryName, number: number): string {
  return `${label(name)}#${number}`;
}

/** The encoded name a redirect points at, if it is a repository of this very forge. */
export function renamedTo(
  answer: { status: number; headers: Headers },
  base: string,
): [string, string] | null {
  const location = answer.headers.get("location");
  if (location === null || answer.status < 300 || answer.status >= 400 || !URL.canParse(location, base))
    return null;
  const target = new URL(location, base);
  if (target.origin !== new URL(base).origin) return null;
  const [, owner, repo] = /\/api\/v1\/repos\/([^/]+)\/([^/]+)\/?$/.exec(target.pathname) ?? [];
  return owner === undefined || repo === undefined ? null : [owner, repo];
}
