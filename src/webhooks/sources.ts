import { matches } from "../commands/rights.ts";
import { parseRepositoryName, type Scope } from "../gitea/port.ts";

/** One question that tells of everything that moved in some of the served repositories. */
export interface Source {
  /** `repository:acme/app`, `owner:acme` or `everything`. */
  readonly key: string;
  readonly scope: Scope;
  /** Whether a repository is this source's to tell of. */
  holds(fullName: string): boolean;
}

/** From so many named repositories of one owner on, all of the owner's are asked about at once. */
const MOST_NAMED = 3;

/**
 * The fewest questions that cover the patterns of `forge.repositories`: one for each owner with a `*` in the
 * name or more than three names, one for each other name, and a single one for all where an owner has a `*`.
 * New repositories of an owner are covered from their first minute.
 */
export function sourcesOf(patterns: readonly string[]): Source[] {
  const owners = new Map<string, string[]>();
  for (const pattern of patterns) {
    const [owner = "", name = "*"] = pattern.toLowerCase().split("/");
    if (owner.includes("*")) return [{ key: "everything", scope: { kind: "everything" }, holds: () => true }];
    owners.set(owner, [...new Set([...(owners.get(owner) ?? []), name])]);
  }
  return [...owners].flatMap(([owner, names]) => {
    const isWide = names.length > MOST_NAMED || names.some((name) => name.includes("*"));
    return isWide ? [ofOwner(owner)] : names.flatMap((name) => ofRepository(`${owner}/${name}`));
  });
}

function ofOwner(owner: string): Source {
  const holds = (fullName: string) => matches(`${owner}/*`, fullName);
  return { key: `owner:${owner}`, scope: { kind: "owner", owner }, holds };
}

function ofRepository(fullName: string): Source[] {
  const name = parseRepositoryName(fullName);
  if (name === null) return [];
  const holds = (found: string) => matches(fullName, found);
  return [{ key: `repository:${fullName}`, scope: { kind: "repository", name }, holds }];
}
