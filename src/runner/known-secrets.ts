import type { Config } from "../config/config.ts";
import { LazarusError } from "../errors.ts";
import type { GivenSecret } from "../protocol/shapes.ts";
import type { HeartbeatAccess } from "./heartbeat-tokens.ts";

interface KnownDeps {
  readonly config: Pick<Config, "agents">;
  readonly heartbeats: Pick<HeartbeatAccess, "markOf">;
}

/** A secret to be looked for, and what its finding is called. */
export interface KnownSecret {
  readonly name: string | null;
  readonly value: string;
}

/** Which of the secrets that agents were given cannot be looked for here. */
export interface UnknownSecrets {
  /** Names of variables that this process does not have at all. */
  readonly missing: readonly string[];
  /** Names of those that have another value by now. */
  readonly changed: readonly string[];
}

/** Only what this process knows the redactor can find: whoever starts Lazarus elsewhere may know less. */
export function unknownSecrets(
  given: readonly GivenSecret[],
  { config, heartbeats }: KnownDeps,
): UnknownSecrets {
  const values = (name: string) =>
    [...config.agents.values()].flatMap((agent) =>
      // What stands in `pass` or `set` by now is no secret any more.
      [agent.env[name], agent.pass[name], agent.set[name]].filter((value) => !!value),
    ) as string[];
  const [missing, changed] = [new Set<string>(), new Set<string>()];
  for (const { name, mark } of given) {
    const known = values(name);
    if (known.length === 0) missing.add(name);
    else if (mark !== null && !known.some((value) => heartbeats.markOf(name, value) === mark))
      changed.add(name);
  }
  return { missing: [...missing].sort(), changed: [...changed].sort() };
}

/**
 * Every secret, once for each name that it has; null: it has none, and nobody can let it go. `learned`: those
 * that are known since the start.
 */
export function namedSecrets(
  { secrets, envSecrets }: Pick<Config, "secrets" | "envSecrets">,
  learned: ReadonlySet<string> = new Set(),
): readonly KnownSecret[] {
  const known = secrets.filter((value) => !envSecrets.some((one) => one.value === value));
  const unnamed = [...known, ...learned];
  return [...unnamed.map((value) => ({ name: null, value })), ...envSecrets];
}

/** What must be done so that secrets can be hidden again. */
export function whatIsMissing(names: readonly string[]): string {
  const which = names.join(", ");
  return `${which}, which its agent had, ${names.length === 1 ? "is" : "are"} not set here, so nobody could look for ${names.length === 1 ? "its value" : "their values"}: do this where ${names.length === 1 ? "it is" : "they are"} set, as where serve runs`;
}

/**
 * @throws LazarusError `configuration` where a secret is not known here at all. It is not tried again here: a
 * server that knows it does so when it starts.
 */
export function mustKnow(given: readonly GivenSecret[], deps: KnownDeps, doing: string): UnknownSecrets {
  const unknown = unknownSecrets(given, deps);
  if (unknown.missing.length > 0)
    throw new LazarusError("configuration", `${doing}: ${whatIsMissing(unknown.missing)}`);
  return unknown;
}
