import { GLOB_FORM, isGlob } from "../globs.ts";
import { DURATION_FORM, parseDuration, parseSize, SIZE_FORM } from "../units.ts";

/** One kind of value in the configuration file. */
export interface Kind<T> {
  /** What is right, to stand after "is not". */
  readonly what: string;
  /** The value in our terms, or undefined if it is none of this kind. */
  read(input: unknown): T | undefined;
  /** A fault must not quote what was given. */
  readonly hidden?: boolean;
  /**
   * What is wrong with a value that `read` does not take, where more can be said than what would be right.
   */
  faultOf?(input: unknown): string;
}

/** A value as a fault quotes it, cut. */
export function show(value: unknown): string {
  const whole = JSON.stringify(value) ?? String(value);
  return whole.length > 80 ? `${whole.slice(0, 79)}…` : whole;
}

function kind<T>(what: string, read: (input: unknown) => T | undefined): Kind<T> {
  return { what, read };
}

function string<T>(what: string, read: (input: string) => T | null | undefined): Kind<T> {
  return kind(what, (input) => (typeof input === "string" ? (read(input) ?? undefined) : undefined));
}

/** The bare number 0 is how YAML reads `0`. */
const zero = (input: unknown) => (input === 0 ? "0" : input);

export const text = string("a text", (input) => (input === "" || input.includes("\0") ? null : input));
export const secret: Kind<string> = { what: "a text that is not empty", read: text.read, hidden: true };
/**
 * Goes into a header: with a line break in it, errors would quote it in pieces that nobody knows as a secret.
 */
export const token: Kind<string> = {
  what: "a token on one line, of ASCII characters",
  hidden: true,
  read: string("", (input) => (/^[\x20-\x7e]+$/.test(input) ? input : null)).read,
};
/** A file or directory; where a relative one starts is not decided here. */
export const directory = string("a path", text.read);
/** Goes into a command line: nothing that would be read as an option. */
export const modelName = string("a model's name, such as claude-opus-4-8 or openai/gpt-5", (input) =>
  /^[^\s\0-][^\s\0]*$/.test(input) ? input : null,
);
/** Goes into a commit's header. */
export const personName = string("a name on one line, without < and >", (input) =>
  /^[^\s<>\0][^\n\r<>\0]{0,99}$/.test(input) ? input : null,
);
export const address = string("an e-mail address", (input) =>
  /^[^\s<>@\0]+@[^\s<>@\0]+$/.test(input) ? input : null,
);
export const name = pattern(/^[A-Za-z_][A-Za-z0-9_]*$/);
export const flag = kind("true or false", (input) => (typeof input === "boolean" ? input : undefined));

const readDuration = string("", parseDuration).read;
const readSize = string("", parseSize).read;
export const duration = kind(`${DURATION_FORM}, or 0`, (input) => readDuration(zero(input)));
/** A duration that cannot be 0: nothing would ever run, or all the time. */
export const span = kind(`${DURATION_FORM}, longer than 0`, (input) => readDuration(input) || undefined);
export const size = kind(SIZE_FORM, (input) => readSize(input) || undefined);

export function count(least: number): Kind<number> {
  return kind(`a whole number from ${least} on`, (input) =>
    typeof input === "number" && Number.isSafeInteger(input) && input >= least ? input : undefined,
  );
}

const MOST_USD = 1_000_000;
/** 0: no limit. Half a cent is nobody's budget. */
export const money = kind("an amount of USD such as 5 or 0.50; 0: no limit", (input) =>
  typeof input === "number" && (input === 0 || (input >= 0.01 && input <= MOST_USD)) ? input : undefined,
);

export function pattern(form: RegExp): Kind<string> {
  return string("", (input) => (form.test(input) ? input : null));
}

export function oneOf<const T extends readonly string[]>(values: T): Kind<T[number]> {
  return string(`one of ${values.join(", ")}`, (input): T[number] | null =>
    values.includes(input) ? input : null,
  );
}

export function lists<T>(item: Kind<T>, what: string): Kind<T[]> {
  return kind(what, (input) => {
    if (!Array.isArray(input)) return undefined;
    const values = input.map((one) => item.read(one));
    return values.every((one) => one !== undefined) ? values : undefined;
  });
}

/** Patterns of paths; a fault names the first that is none. */
export const globs: Kind<string[]> = {
  ...lists(
    string("", (input) => (isGlob(input) ? input : null)),
    'a list of patterns of paths such as ["deploy/**", "*.tf"]',
  ),
  faultOf(input) {
    const wrong = Array.isArray(input) ? input.find((one) => typeof one !== "string" || !isGlob(one)) : null;
    return wrong == null ? `${show(input)} is not ${globs.what}` : `${show(wrong)} is not ${GLOB_FORM}`;
  },
};

export const names = lists(name, "a list of names of environment variables");

/** A command line: at least one word, the first not empty. */
export function texts(what: string): Kind<string[]> {
  const words = lists(
    kind("", (input) => (typeof input === "string" && !input.includes("\0") ? input : undefined)),
    what,
  );
  return kind(what, (input) => {
    const read = words.read(input);
    return read?.[0] ? read : undefined;
  });
}

export const variables = kind('names with texts, such as {HERMES_QUIET: "1"}', (input) => {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return undefined;
  const pairs = Object.entries(input);
  const right = pairs.every(
    ([key, value]) => name.read(key) && typeof value === "string" && !value.includes("\0"),
  );
  return right ? (Object.fromEntries(pairs) as Record<string, string>) : undefined;
});

/** What a pattern of repositories looks like. */
export const REPOSITORIES = /^[\w.-]+\/([\w.-]+|\*)$/;
const several = lists(secret, "");
/** One, or several. */
export const secrets: Kind<string[]> = {
  what: "a text, or a list of texts",
  hidden: true,
  read: (input) => (typeof input === "string" ? several.read([input]) : several.read(input)),
};

/** A path for each pattern. */
export const pathsByPattern = kind('patterns with paths, such as {"acme/*": "./acme.secret"}', (input) => {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return undefined;
  const isRight = Object.values(input).every((value) => directory.read(value) !== undefined);
  return isRight ? (input as Record<string, string>) : undefined;
});

/**
 * An http(s) address without credentials, query or fragment; a slash at its end is cut. Faults do not quote
 * it: it may hold a password.
 */
export const url: Kind<string> = {
  what: "an address such as https://git.example.org, without user, password, ? or #",
  hidden: true,
  read: string("", (input) => {
    if (!URL.canParse(input) || /[?#\s]/.test(input)) return null;
    const parsed = new URL(input);
    if (!["http:", "https:"].includes(parsed.protocol) || parsed.username || parsed.password) return null;
    return parsed.href.replace(/\/+$/, "");
  }).read,
};

export const listen = string("host:port, such as 127.0.0.1:8420 or [::1]:8420", (input) => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(input);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host !== undefined && port <= 65_535 ? { host, port } : null;
});

export const uidRange = string("a range of user ids such as 700000-765535", (input) => {
  const match = /^(\d{1,10})-(\d{1,10})$/.exec(input);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  return first >= 1 && first <= last && last < 2 ** 32 - 1 ? { first, last } : null;
});
