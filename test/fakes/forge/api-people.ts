import {
  bare,
  type Call,
  fields,
  json,
  mustScope,
  mustUser,
  needText,
  notFound,
  paged,
  type Reply,
  type Route,
  refuse,
  textField,
  userOf,
} from "./http.ts";
import { type Json, userJson } from "./payloads.ts";
import { isMember, isOrganizationOwner } from "./rights.ts";
import type { Access, Team, User } from "./state.ts";

function mustAdmin(call: Call): User {
  const user = mustUser(call);
  const scopes = call.login.kind === "user" ? (call.login.scopes ?? ["all"]) : [];
  if (!scopes.some((one) => one === "all" || one === "write:admin"))
    throw refuse(call, 403, "token does not have at least one of required scope(s), required=[write:admin]");
  if (!user.isAdmin) throw refuse(call, 403, "user should be the site admin");
  return user;
}

function named(call: Call, param: string): User {
  const user = call.world.userByLogin(call.params[param] ?? "");
  if (!user) throw refuse(call, 404, `user redirect does not exist [name: ${call.params[param]}]`);
  return user;
}

function organization(call: Call): User {
  const found = call.world.userByLogin(call.params.org ?? "");
  if (!found?.isOrganization) throw notFound(call);
  return found;
}

function teamOf(call: Call): Team {
  const team = call.world.teams.find((one) => one.id === Number(call.params.id));
  if (!team) throw notFound(call);
  const user = mustUser(call);
  const isInside = team.members.has(user.id) || isOrganizationOwner(call.world, team.organizationId, user);
  if (user.isAdmin || isInside) return team;
  if (isMember(call.world, team.organizationId, user)) throw refuse(call, 403, "Must be a team member");
  throw notFound(call);
}

function teamJson(team: Team): Json {
  return {
    id: team.id,
    name: team.name,
    description: "",
    organization: null,
    includes_all_repositories: team.includesAll,
    permission: team.permission,
    units: ["repo.code", "repo.issues", "repo.pulls"],
    can_create_org_repo: team.permission === "owner",
  };
}

function createUser(call: Call): Reply {
  mustAdmin(call);
  const login = needText(call, "username");
  if (call.world.userByLogin(login)) throw refuse(call, 422, `user already exists [name: ${login}]`);
  const email = needText(call, "email");
  if (call.world.users.some((one) => one.email.toLowerCase() === email.toLowerCase()))
    throw refuse(call, 422, `e-mail already in use [email: ${email}]`);
  const user = call.world.addUser(login, { email, password: needText(call, "password") });
  return json(201, userJson(call.world, user, mustUser(call)));
}

function editUser(call: Call): Reply {
  mustAdmin(call);
  const user = named(call, "username");
  const { must_change_password: mustChange, admin } = fields(call);
  if (typeof mustChange === "boolean") user.mustChangePassword = mustChange;
  if (typeof admin === "boolean") user.isAdmin = admin;
  user.password = textField(call, "password") ?? user.password;
  return json(200, userJson(call.world, user, mustUser(call)));
}

/** As a real one does it where the account owns nothing and said nothing. */
function deleteUser(call: Call): Reply {
  mustAdmin(call);
  const { id } = named(call, "username");
  const { repositories, tokens, users } = call.world;
  for (const one of repositories) one.collaborators.delete(id);
  for (const one of tokens.filter((token) => token.userId === id)) tokens.splice(tokens.indexOf(one), 1);
  users.splice(
    users.findIndex((user) => user.id === id),
    1,
  );
  return bare(204);
}

function renameUser(call: Call): Reply {
  mustAdmin(call);
  named(call, "username").login = needText(call, "new_username");
  return bare(204);
}

function searchUsers(call: Call): Reply {
  const id = Number(call.url.searchParams.get("uid") ?? 0);
  const found = call.world.users.filter((user) => user.isActive && !user.isOrganization && user.id === id);
  return json(200, { data: found.map((user) => userJson(call.world, user, userOf(call))), ok: true });
}

function changeSettings(call: Call): Reply {
  const { hide_email: hides } = fields(call);
  if (typeof hides === "boolean") mustUser(call).hidesEmail = hides;
  return json(200, { hide_email: mustUser(call).hidesEmail ?? false });
}

/** Nobody is ever told of anything here; what counts is who may ask. */
function newNotifications(call: Call): Reply {
  mustUser(call);
  mustScope(call, "notification");
  return json(200, { new: 0 });
}

/** Whose tokens are meant. Only a password opens the way to them, one's own or a site administrator's. */
function ownerOfTokens(call: Call) {
  const user = mustUser(call);
  const owner = named(call, "username");
  if (call.login.kind !== "user" || !call.login.byPassword) throw refuse(call, 401, "auth required");
  if (owner.id !== user.id && !user.isAdmin)
    throw refuse(call, 403, "doer should be the site admin or be same as the contextUser");
  return owner;
}

function createToken(call: Call): Reply {
  const owner = ownerOfTokens(call);
  const name = needText(call, "name");
  const scopes = fields(call).scopes;
  if (!Array.isArray(scopes) || scopes.length === 0)
    throw refuse(call, 400, "access token must have a scope");
  const isTaken = call.world.tokens.some((token) => token.userId === owner.id && token.name === name);
  if (isTaken) throw refuse(call, 400, "access token name has been used already");
  const token = call.world.addToken(owner, name, scopes.map(String));
  const shown = { id: token.id, name, sha1: token.secret, token_last_eight: token.secret.slice(-8), scopes };
  return json(201, shown);
}

function deleteToken(call: Call): Reply {
  const owner = ownerOfTokens(call);
  const { tokens } = call.world;
  const at = tokens.findIndex((one) => one.userId === owner.id && one.name === call.params.token);
  if (at < 0) throw notFound(call);
  tokens.splice(at, 1);
  return bare(204);
}

function createOrganization(call: Call): Reply {
  const user = mustUser(call);
  const login = needText(call, "username");
  if (call.world.userByLogin(login)) throw refuse(call, 422, `user already exists [name: ${login}]`);
  const made = call.world.addOrganization(login, user);
  return json(201, organizationJson(made));
}

function organizationJson(org: User): Json {
  return { id: org.id, name: org.login, username: org.login, full_name: "", visibility: "public" };
}

function createTeam(call: Call): Reply {
  const org = organization(call);
  const user = mustUser(call);
  if (!user.isAdmin && !isOrganizationOwner(call.world, org.id, user))
    throw refuse(call, 403, "Must be an organization owner");
  const permission = (textField(call, "permission") ?? "read") as Access;
  const includesAll = fields(call).includes_all_repositories === true;
  return json(
    201,
    teamJson(call.world.addTeam(org, { name: needText(call, "name"), permission, includesAll })),
  );
}

function searchTeams(call: Call): Reply {
  const org = organization(call);
  const user = mustUser(call);
  const seesAll = user.isAdmin || isOrganizationOwner(call.world, org.id, user);
  if (!seesAll && !isMember(call.world, org.id, user))
    throw refuse(call, 403, "Must be an organization member");
  const text = (call.url.searchParams.get("q") ?? "").toLowerCase();
  const found = call.world.teams.filter(
    (team) =>
      team.organizationId === org.id &&
      team.name.toLowerCase().includes(text) &&
      (seesAll || team.members.has(user.id)),
  );
  const { items, headers } = paged(call, found);
  return json(200, { data: items.map(teamJson), ok: true }, headers);
}

function isTeamMember(call: Call): Reply {
  const team = teamOf(call);
  const user = named(call, "username");
  if (!team.members.has(user.id)) throw notFound(call);
  return json(200, userJson(call.world, user, mustUser(call)));
}

function isOrganizationMember(call: Call): Reply {
  const org = organization(call);
  const asking = userOf(call);
  const user = named(call, "username");
  if (!asking || !(asking.isAdmin || isMember(call.world, org.id, asking))) {
    return { ...bare(303), headers: { Location: `/api/v1/orgs/${org.login}/public_members/${user.login}` } };
  }
  if (!isMember(call.world, org.id, user)) throw notFound(call);
  return bare(204);
}

/** Accounts, tokens, organizations, teams, and what the server tells about itself. */
export const PEOPLE_ROUTES: readonly Route[] = [
  { method: "GET", path: "/version", handler: (call) => json(200, { version: call.world.version }) },
  {
    method: "GET",
    path: "/settings/api",
    handler: () =>
      json(200, {
        max_response_items: 50,
        default_paging_num: 30,
        default_git_trees_per_page: 1000,
        default_max_blob_size: 10485760,
      }),
  },
  {
    method: "GET",
    path: "/user",
    handler: (call) => {
      const user = mustUser(call);
      mustScope(call, "user");
      return json(200, userJson(call.world, user, user));
    },
  },
  { method: "PATCH", path: "/user/settings", handler: changeSettings },
  { method: "GET", path: "/users/search", handler: searchUsers },
  {
    method: "GET",
    path: "/users/:username",
    handler: (call) => json(200, userJson(call.world, named(call, "username"), userOf(call))),
  },
  { method: "POST", path: "/users/:username/tokens", handler: createToken },
  { method: "DELETE", path: "/users/:username/tokens/:token", handler: deleteToken },
  { method: "POST", path: "/admin/users", handler: createUser },
  { method: "PATCH", path: "/admin/users/:username", handler: editUser },
  { method: "DELETE", path: "/admin/users/:username", handler: deleteUser },
  { method: "POST", path: "/admin/users/:username/rename", handler: renameUser },
  { method: "GET", path: "/notifications/new", handler: newNotifications },
  { method: "POST", path: "/orgs", handler: createOrganization },
  {
    method: "GET",
    path: "/orgs/:org",
    handler: (call) => json(200, organizationJson(organization(call))),
  },
  { method: "POST", path: "/orgs/:org/teams", handler: createTeam },
  { method: "GET", path: "/orgs/:org/teams/search", handler: searchTeams },
  { method: "GET", path: "/orgs/:org/members/:username", handler: isOrganizationMember },
  {
    method: "GET",
    path: "/orgs/:org/public_members/:username",
    handler: (call) => {
      throw notFound(call);
    },
  },
  {
    method: "PUT",
    path: "/teams/:id/members/:username",
    handler: (call) => {
      teamOf(call).members.add(named(call, "username").id);
      return bare(204);
    },
  },
  {
    method: "DELETE",
    path: "/teams/:id/members/:username",
    handler: (call) => {
      teamOf(call).members.delete(named(call, "username").id);
      return bare(204);
    },
  },
  { method: "GET", path: "/teams/:id/members/:username", handler: isTeamMember },
  {
    method: "PUT",
    path: "/teams/:id/repos/:org/:repo",
    handler: (call) => {
      const team = teamOf(call);
      const repo = call.world.repositoryByName(call.params.org ?? "", call.params.repo ?? "");
      if (!repo) throw notFound(call);
      team.repositories.add(repo.id);
      return bare(204);
    },
  },
];
