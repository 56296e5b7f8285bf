import { type Dirent, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Files that hold what a program logs in with, and nothing else to speak of. */
const CREDENTIALS =
  /^(auth\.json|\.?credentials(\.json)?|oauth_creds\.json|\.netrc|_netrc|\.git-credentials|\.pgpass)$/i;
/** Files that may hold it beside settings. */
const SETTINGS =
  /^(\.env(\..+)?|\.claude\.json|settings(\.local)?\.json|config\.(json|toml|ya?ml)|opencode\.jsonc?|hosts\.ya?ml|\.npmrc|\.pypirc|\.aider\.conf\.yml)$/i;
const KEY_FILE = /^(id_(rsa|dsa|ecdsa|ed25519)|.+\.(pem|key))$/i;
const NO_PLACE = new Set(["node_modules", ".git", "cache", ".cache"]);

const MOST_ENTRIES = 5_000;
const DEEPEST = 6;
const MOST_BYTES = 256 * 1024;
const LONGEST_LINE = 8_192;
const LEAST_CHARS = 8;

/**
 * What a template of a home brings that looks like a secret, from files that are known to hold such; links
 * are not followed. It is a text of 8 or more characters without blanks that stands under a name that ends in
 * key, token, secret, password, credential, cookie or `_auth`; in settings words of letters alone only where
 * the name is that of a secret or password. In files that hold nothing but credentials it is also any text of
 * 20 or more with letters and at least three digits; and everywhere passwords in addresses, and each line of
 * a private key. No paths, addresses, references and names of variables.
 */
export function secretsOfHome(template: string | null): string[] {
  if (template === null) return [];
  const found = new Set<string>();
  for (const { path, name } of filesBelow(template)) {
    const isWhole = CREDENTIALS.test(name);
    if (!isWhole && !SETTINGS.test(name) && !KEY_FILE.test(name)) continue;
    const text = readSmall(path);
    const secrets = KEY_FILE.test(name) ? linesOfKey(text) : secretsIn(text, isWhole);
    for (const secret of secrets) found.add(secret);
  }
  return [...found];
}

function* filesBelow(root: string): Generator<{ path: string; name: string }> {
  const rest: { dir: string; depth: number }[] = [{ dir: root, depth: 1 }];
  let entries = 0;
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    for (const entry of listOf(next.dir)) {
      if (++entries > MOST_ENTRIES) return;
      const path = join(next.dir, entry.name);
      if (entry.isFile()) yield { path, name: entry.name };
      else if (entry.isDirectory() && next.depth < DEEPEST && !NO_PLACE.has(entry.name.toLowerCase()))
        rest.push({ dir: path, depth: next.depth + 1 });
    }
  }
}

/** That a template cannot be read is said where the agent is looked at. */
function listOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
}

function readSmall(path: string): string {
  try {
    return lstatSync(path).size > MOST_BYTES ? "" : readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function linesOfKey(text: string): string[] {
  const lines = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? text.split(/\r?\n/) : [];
  return lines.filter((line) => line.length >= 20 && !line.startsWith("-----"));
}

function secretsIn(text: string, isWhole: boolean): string[] {
  const pairs = pairsOfJson(text) ?? pairsOfLines(text);
  return pairs.flatMap(([name, value]) => {
    const inside = passwordsIn(value);
    if (inside.length > 0) return inside;
    return isSecret(name, value, isWhole) ? [value] : [];
  });
}

const SECRET_NAME = /(key|token|secret|password|passwd|credentials?|cookie|_auth)s?$/i;

function isSecret(name: string, value: string, isWhole: boolean): boolean {
  if (value.length < LEAST_CHARS || /\s/.test(value)) return false;
  const isOther = /^(?:[~.]{0,2}\/|[a-z][a-z0-9+.-]*:\/\/|\$|[A-Z]+(?:_[A-Z]+)+$)/.test(value);
  if (isOther) return false;
  const digits = value.replace(/\D/g, "").length;
  const isToken =
    value.length >= 20 && digits >= 3 && /[a-z]/i.test(value) && !/^\d{4}-\d\d-\d\d/.test(value);
  // In settings a key or token may be the name of something.
  const isWord = /^[a-z]+([._-][a-z]+)*$/i.test(value);
  if (isWhole) return isToken || SECRET_NAME.test(name);
  return SECRET_NAME.test(name) && (!isWord || /(secret|password|passwd)s?$/i.test(name));
}

type Pair = readonly [name: string, value: string];

/** Every text of a JSON document with the name that it stands under; null where it is none. */
function pairsOfJson(text: string): Pair[] | null {
  const pairs: Pair[] = [];
  const rest: [name: string, value: unknown][] = [];
  try {
    rest.push(["", JSON.parse(text)]);
  } catch {
    return null;
  }
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    const [name, value] = next;
    if (typeof value === "string") pairs.push([name, value]);
    else if (Array.isArray(value)) for (const each of value) rest.push([name, each]);
    else if (typeof value === "object" && value !== null) rest.push(...Object.entries(value));
  }
  return pairs;
}

/** `NAME=value`, `name = "value"`, `name: value`, `password value`; and each word of other lines. */
function pairsOfLines(text: string): Pair[] {
  return text.split(/\r?\n/).flatMap((line): Pair[] => {
    if (line.length > LONGEST_LINE || /^\s*[#;]/.test(line)) return [];
    const words = line.trim().split(/\s+/);
    const [, name = "", value = ""] =
      /^\s*(?:export\s+)?([^=\s][^=]*?)\s*=\s*(\S.*)$/.exec(line) ??
      /^\s*-?\s*["']?([\w.-]+)["']?\s*:\s+(\S.*)$/.exec(line) ??
      [];
    if (name !== "" && !/^[a-z]+:\/\//i.test(line.trim())) return [[bare(name), bare(value)]];
    return words.map((word, at) => [words[at - 1] ?? "", word]);
  });
}

/** Without quotes, a comma or a comment behind it. */
function bare(text: string): string {
  const [, double, single] = /^"([^"]*)"|^'([^']*)'/.exec(text) ?? [];
  return double ?? single ?? text.replace(/\s+#.*$/, "").replace(/[\s,]+$/, "");
}

/** The password of an address, as written and as meant; a user alone may be a token, where it is long. */
export function passwordsIn(text: string): string[] {
  const [, user = "", password = ""] =
    /^(?:[a-z][a-z0-9+.-]*:)?\/\/([^:/@\s]*)(?::([^/\s]*))?@/i.exec(text) ?? [];
  const isToken = user.length >= 16 && /\d/.test(user);
  const secret = password === "" && isToken ? user : password;
  return secret === "" ? [] : [secret, decoded(secret)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
