import type { Access, Repository, User, World } from "./state.ts";

export type Permission = "none" | Access;

const ORDER: readonly Permission[] = ["none", "read", "write", "admin", "owner"];

/** Whether `have` is at least `need`. */
export function covers(have: Permission, need: Permission): boolean {
  return ORDER.indexOf(have) >= ORDER.indexOf(need);
}

/** What `user` (null: nobody is logged in) may do, in the words of Gitea's permission look-up. */
export function permissionOf(world: World, repo: Repository, user: User | null): Permission {
  if (!user) return repo.isPrivate ? "none" : "read";
  if (user.isAdmin || user.id === repo.ownerId) return "owner";
  let best: Permission = repo.isPrivate || user.isRestricted ? "none" : "read";
  const offer = (next: Permission) => {
    if (covers(next, best)) best = next;
  };
  offer(repo.collaborators.get(user.id) ?? "none");
  for (const team of world.teams) {
    if (team.organizationId !== repo.ownerId || !team.members.has(user.id)) continue;
    if (!team.includesAll && !team.repositories.has(repo.id)) continue;
    offer(team.permission === "admin" ? "owner" : team.permission);
  }
  return best;
}

/** Whether `user` is a member of any team of the organization. */
export function isMember(world: World, organizationId: number, user: User): boolean {
  return world.teams.some((team) => team.organizationId === organizationId && team.members.has(user.id));
}

/** Whether `user` is in the organization's team of owners. */
export function isOrganizationOwner(world: World, organizationId: number, user: User): boolean {
  return world.teams.some(
    (team) =>
      team.organizationId === organizationId && team.permission === "owner" && team.members.has(user.id),
  );
}

export type Login =
  | { readonly kind: "nobody" }
  | { readonly kind: "bad" }
  | {
      readonly kind: "user";
      readonly user: User;
      readonly byPassword: boolean;
      readonly mayWrite: boolean /** Null: whatever the person may. */;
      readonly scopes?: readonly string[];
    };

/**
 * Reads `Authorization`: `token X`, `Bearer X`, Basic with a password, or Basic with a token on either side.
 */
export function login(world: World, header: string | undefined): Login {
  if (!header) return { kind: "nobody" };
  const [scheme = "", value = ""] = header.split(" ", 2);
  if (scheme === "token" || scheme.toLowerCase() === "bearer") return byToken(world, value);
  if (scheme.toLowerCase() !== "basic") return { kind: "nobody" };
  const [name = "", ...rest] = Buffer.from(value, "base64").toString("utf8").split(":");
  const password = rest.join(":");
  const isTokenName = password === "" || password === "x-oauth-basic";
  const token = byToken(world, isTokenName ? name : password);
  if (token.kind === "user") return token;
  const user = world.userByLogin(name);
  if (!user || user.isOrganization || user.password !== password) return { kind: "bad" };
  return { kind: "user", user, byPassword: true, mayWrite: true };
}

function byToken(world: World, secret: string): Login {
  const token = world.tokens.find((one) => one.secret === secret);
  if (!token) return { kind: "bad" };
  const mayWrite = token.scopes.some((scope) => scope === "all" || scope.startsWith("write:"));
  return { kind: "user", user: world.user(token.userId), byPassword: false, mayWrite, scopes: token.scopes };
}
