import type { Role } from "../cells/cell.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import type { Forge, Permission, PermissionAnswer, Person, RepositoryName } from "../gitea/port.ts";
import { parseRepositoryName } from "../gitea/port.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { DirectorIds } from "./director-ids.ts";

/** What somebody may do on a target, asked of the forge at this moment. */
export type Standing =
  | { readonly kind: "known"; readonly permission: Permission; readonly role: Role | null }
  /** The forge does not tell the bot; nobody may do anything until it does. */
  | { readonly kind: "unknowable"; readonly why: string };

export interface Rights {
  /** By user id: a login that now belongs to somebody else has no rights. */
  standing(person: { id: number | null; login: string }, repository: RepositoryRef): Promise<Standing>;
  /**
   * Whether somebody is an operator of this Lazarus: an entry of `directors`, by user id. A repository's
   * admin is none.
   */
  isOperator(person: { id: number | null; login: string }): Promise<boolean>;
  /**
   * Logins of at most 20 people who may do what `needed` allows, without the bot's; empty where the forge
   * does not tell. It is asked once a minute: these are names for a refusal, no rights.
   */
  peopleWho(needed: "write" | "director", repository: RepositoryRef): Promise<string[]>;
  /** Finds out which accounts the configured directors are, where that is not known yet. */
  bindDirectors(): Promise<void>;
  /** Whether the configuration serves a repository of this full name. */
  isServed(fullName: string): boolean;
}

/** How long the names of people who can are remembered, and how many are looked for and told. */
const NAMES_MS = 60_000;
const MOST_NAMES = 20;

/** Live permission look-ups on the forge, with the configured directors on top. */
export function createRights(deps: {
  readonly forge: Forge;
  readonly config: Pick<Config, "directors" | "forge">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly directorIds: DirectorIds;
}): Rights {
  const { forge, config, clock, directorIds } = deps;
  const names = new Map<string, { readonly at: number; readonly people: Promise<string[]> }>();

  /** Of somebody whose login and id the forge has just told together. */
  async function isConfiguredDirector(person: Person): Promise<boolean> {
    for (const entry of config.directors) {
      const [org, team] = entry.split("/");
      if (org === undefined) continue;
      if (team === undefined) {
        if (isBoundTo(org, person)) return true;
      } else if (await forge.isTeamMember(org, team, person.login)) return true;
    }
    return false;
  }

  function isBoundTo(login: string, person: Person): boolean {
    const id = directorIds.of(login);
    if (id !== null) return id === person.id;
    if (login.toLowerCase() !== person.login.toLowerCase()) return false;
    directorIds.bind(login, person.id);
    return true;
  }

  /** By the login that somebody has now: whoever was renamed since is asked about once more, under that. */
  async function permissionOf(
    person: Person,
    repository: RepositoryRef,
  ): Promise<{ login: string; answer: PermissionAnswer }> {
    const answer = await forge.permission(nameOf(repository), person.login);
    const isOther =
      answer.kind === "no-such-user" || (answer.kind === "known" && answer.userId !== person.id);
    const now = isOther ? await forge.personById(person.id) : null;
    if (now === null || now.login === person.login) return { login: person.login, answer };
    return { login: now.login, answer: await forge.permission(nameOf(repository), now.login) };
  }

  async function askWho(needed: "write" | "director", name: RepositoryName): Promise<string[]> {
    const [me, all] = await Promise.all([forge.me(), forge.writers(name)]);
    const writers = all.filter((one) => one.id !== me.id).slice(0, MOST_NAMES);
    if (needed === "write") return writers.map((one) => one.login);
    const people = new Set(config.directors.filter((entry) => !entry.includes("/")).slice(0, MOST_NAMES));
    for (const one of writers) {
      const answer = await forge.permission(name, one.login);
      if (answer.kind === "known" && roleOf(answer.permission) === "director") people.add(one.login);
    }
    return [...people].slice(0, MOST_NAMES);
  }

  return {
    async standing(person, repository) {
      if (person.id === null) return { kind: "known", permission: "owner", role: "director" };
      const { login, answer } = await permissionOf({ id: person.id, login: person.login }, repository);
      if (answer.kind === "unknowable") return { kind: "unknowable", why: answer.why };
      if (answer.kind === "no-such-user" || answer.userId !== person.id)
        return { kind: "known", permission: "none", role: null };
      const own = roleOf(answer.permission);
      const isDirector = own === "director" || (await isConfiguredDirector({ id: person.id, login }));
      const role = isDirector ? "director" : own;
      return { kind: "known", permission: answer.permission, role };
    },

    async isOperator({ id, login }) {
      if (id === null) return true;
      const found = await forge.person(login);
      return found?.id === id && (await isConfiguredDirector({ id, login: found.login }));
    },

    peopleWho(needed, repository) {
      const now = clock.monotonic();
      for (const [key, { at }] of names) if (now - at >= NAMES_MS) names.delete(key);
      const key = `${needed} ${repository.id} ${repository.fullName}`;
      const people = names.get(key)?.people ?? askWho(needed, nameOf(repository));
      people.catch(() => names.delete(key));
      if (!names.has(key)) names.set(key, { at: now, people });
      return people;
    },

    async bindDirectors() {
      const logins = config.directors.filter((entry) => !entry.includes("/"));
      directorIds.keep(logins);
      for (const login of logins) {
        if (directorIds.of(login) !== null) continue;
        const found = await forge.person(login);
        if (found !== null && found.login.toLowerCase() === login.toLowerCase())
          directorIds.bind(login, found.id);
      }
    },

    isServed: (fullName) => isServed(config.forge.repositories, fullName),
  };
}

/**
 * Whether one of the patterns (`acme/app`, `acme/*`, `*`) matches a full name; names compare without case.
 */
export function isServed(patterns: readonly string[], fullName: string): boolean {
  return patterns.some((pattern) => matches(pattern, fullName));
}

/** Whether a pattern of `forge.repositories` matches: `*` stands for any run of characters but a slash. */
export function matches(pattern: string, fullName: string): boolean {
  const [owner, name, ...rest] = fullName.toLowerCase().split("/");
  if (owner === undefined || name === undefined || rest.length > 0) return false;
  const [ownerPattern, namePattern] = pattern.toLowerCase().split("/");
  return isMatch(ownerPattern ?? "", owner) && isMatch(namePattern ?? "*", name);
}

function isMatch(pattern: string, text: string): boolean {
  const expression = pattern
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join("[^/]*");
  return new RegExp(`^${expression}$`).test(text);
}

/** Read permission counts as observer, write as executor, admin and owner as director. */
export function roleOf(permission: Permission): Role | null {
  switch (permission) {
    case "owner":
    case "admin":
      return "director";
    case "write":
      return "executor";
    case "read":
      return "observer";
    case "none":
      return null;
  }
}

/** Whether somebody may close and decide there; where the forge does not tell, nobody may. */
export async function isDirector(
  person: Person,
  repository: RepositoryRef,
  { rights }: { readonly rights: Pick<Rights, "standing"> },
): Promise<boolean> {
  const standing = await rights.standing(person, repository);
  return standing.kind === "known" && standing.role === "director";
}

/** The name of a repository we know. */
export function nameOf(repository: RepositoryRef): RepositoryName {
  const name = parseRepositoryName(repository.fullName);
  if (name === null) throw new TypeError(`not a repository's full name: ${repository.fullName}`);
  return name;
}
