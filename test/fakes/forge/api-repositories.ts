import { createRepository } from "./acts.ts";
import { eventTypes, pushPayload, subscribe } from "./events.ts";
import { branches } from "./git.ts";
import {
  bare,
  type Call,
  fields,
  json,
  may,
  mustScope,
  mustUser,
  needText,
  notFound,
  paged,
  type Reply,
  type Route,
  refuse,
  repoOf,
  repoToWrite,
  textField,
  userOf,
} from "./http.ts";
import { type Json, labelJson, repositoryJson, rightsOf, userJson } from "./payloads.ts";
import { covers, isOrganizationOwner, permissionOf } from "./rights.ts";
import { type Hook, type Repository, stamp, type User } from "./state.ts";

function shown(call: Call, repo: Repository): Json {
  return repositoryJson(call.world, repo, rightsOf(call.world, repo, userOf(call)));
}

async function create(call: Call, owner: User): Promise<Reply> {
  const { world } = call;
  const by = mustUser(call);
  const mayCreate = by.isAdmin || by.id === owner.id || isOrganizationOwner(world, owner.id, by);
  if (!mayCreate) throw refuse(call, 403, "Given user is not allowed to create repository in organization.");
  const name = needText(call, "name");
  if (world.repositoryByName(owner.login, name))
    throw refuse(call, 409, "The repository with the same name already exists.");
  const repo = await createRepository(world, by, {
    name,
    owner,
    isPrivate: fields(call).private === true,
    defaultBranch: textField(call, "default_branch") || "main",
    description: textField(call, "description") ?? "",
    files: fields(call).auto_init === true ? { "README.md": `# ${name}\n\n` } : null,
  });
  return json(201, shown(call, repo));
}

function createFor(call: Call, param: string): Promise<Reply> {
  const owner = call.world.userByLogin(call.params[param] ?? "");
  if (!owner) throw notFound(call);
  return create(call, owner);
}

function edit(call: Call): Reply {
  const repo = repoOf(call, "admin");
  mustUser(call);
  const change = fields(call);
  const name = textField(call, "name");
  if (name !== undefined && name !== repo.name) {
    repo.formerNames.push(call.world.fullName(repo));
    repo.name = name;
  }
  if (typeof change.archived === "boolean") repo.isArchived = change.archived;
  if (typeof change.private === "boolean") repo.isPrivate = change.private;
  repo.defaultBranch = textField(call, "default_branch") ?? repo.defaultBranch;
  repo.description = textField(call, "description") ?? repo.description;
  repo.updatedAt = call.world.now();
  return json(200, shown(call, repo));
}

/** As a site administrator does it: at once. Others would have to wait for the new owner. */
function transfer(call: Call): Reply {
  const repo = repoOf(call, "admin");
  if (!mustUser(call).isAdmin) throw refuse(call, 403, "only a site administrator transfers at once here");
  const owner = call.world.userByLogin(needText(call, "new_owner"));
  if (!owner) throw notFound(call, "The new owner does not exist or cannot be found");
  repo.formerNames.push(call.world.fullName(repo));
  repo.ownerId = owner.id;
  return json(202, shown(call, repo));
}

function remove(call: Call): Reply {
  const repo = repoOf(call, "admin");
  mustUser(call);
  call.world.repositories.splice(call.world.repositories.indexOf(repo), 1);
  return bare(204);
}

function putCollaborator(call: Call): Reply {
  const repo = repoToWrite(call, "admin");
  const user = call.world.userByLogin(call.params.username ?? "");
  if (!user) throw refuse(call, 422, `user does not exist [uid: 0, name: ${call.params.username}]`);
  const permission = textField(call, "permission") ?? "write";
  if (permission !== "read" && permission !== "write" && permission !== "admin")
    throw refuse(call, 422, "bad permission");
  repo.collaborators.set(user.id, permission);
  return bare(204);
}

function permission(call: Call): Reply {
  const repo = repoOf(call);
  const asking = mustUser(call);
  const isOwn = asking.login.toLowerCase() === call.params.username?.toLowerCase();
  const isAllowed = isOwn && call.world.ways.ownPermission === 200;
  if (!asking.isAdmin && !isAllowed && !may(call, repo, "admin")) {
    const text =
      "Only admins can query all permissions, repo admins can query all repo permissions, collaborators can query only their own";
    throw refuse(call, 403, text);
  }
  const name = call.params.username ?? "";
  const user = call.world.userByLogin(name);
  if (!user) throw refuse(call, 404, `user does not exist [uid: 0, name: ${name}]`);
  const level = permissionOf(call.world, repo, user);
  return json(200, { permission: level, role_name: level, user: userJson(call.world, user, asking) });
}

/** Who may be asked for a review: everybody with rights of their own here, except the one who asks. */
function reviewers(call: Call): Reply {
  const repo = repoOf(call);
  const asking = mustUser(call);
  const { world } = call;
  if (!may(call, repo, "write") && !world.ways.readersPropose)
    throw refuse(call, 403, "doer has no permission to get reviewers");
  const ids = new Set<number>(repo.collaborators.keys());
  for (const team of world.teams) {
    if (team.organizationId !== repo.ownerId) continue;
    if (team.includesAll || team.repositories.has(repo.id)) for (const id of team.members) ids.add(id);
  }
  const owner = world.user(repo.ownerId);
  if (!owner.isOrganization) ids.add(owner.id);
  const people = [...ids].map((id) => world.user(id));
  people.sort((a, b) => a.login.localeCompare(b.login));
  return json(
    200,
    people.map((user) => userJson(world, user, asking)),
  );
}

/** Whom an issue can be assigned to: everybody who may write by rights of their own. */
function assignees(call: Call): Reply {
  const repo = repoOf(call);
  const asking = mustUser(call);
  const { world } = call;
  const ids = new Set<number>([
    repo.ownerId,
    ...repo.collaborators.keys(),
    ...world.teams
      .filter((team) => team.organizationId === repo.ownerId)
      .flatMap((team) => [...team.members]),
  ]);
  const people = [...ids].map((id) => world.user(id));
  const writers = people.filter(
    (user) => !user.isOrganization && covers(permissionOf(world, repo, user), "write"),
  );
  writers.sort((a, b) => a.login.localeCompare(b.login));
  return json(
    200,
    writers.map((user) => userJson(world, user, asking)),
  );
}

function hookJson(hook: Hook): Json {
  return {
    id: hook.id,
    type: "gitea",
    branch_filter: "",
    config: { content_type: hook.contentType, url: hook.url },
    events: eventTypes(hook),
    authorization_header: hook.authorization,
    active: hook.active,
    updated_at: stamp(hook.createdAt),
    created_at: stamp(hook.createdAt),
  };
}

function createHook(call: Call): Reply {
  const repo = repoOf(call, "admin");
  mustUser(call);
  const wanted = fields(call);
  const config = (wanted.config ?? {}) as Record<string, unknown>;
  const text = (name: string) => (typeof config[name] === "string" ? config[name] : "");
  if (text("url") === "" || text("content_type") === "")
    throw refuse(call, 422, "Missing config option: url");
  const events = Array.isArray(wanted.events) ? wanted.events.map(String) : [];
  const hook: Hook = {
    id: call.world.nextId("hook"),
    url: text("url"),
    secret: text("secret"),
    active: wanted.active === true,
    contentType: text("content_type") === "form" ? "form" : "json",
    authorization: textField(call, "authorization_header") ?? "",
    flags: subscribe(events),
    createdAt: call.world.now(),
  };
  repo.hooks.push(hook);
  return json(201, hookJson(hook));
}

function listHooks(call: Call): Reply {
  const repo = repoOf(call, "admin");
  mustUser(call);
  const { items, headers } = paged(call, repo.hooks);
  return json(200, items.map(hookJson), headers);
}

function deleteHook(call: Call): Reply {
  const repo = repoOf(call, "admin");
  const index = repo.hooks.findIndex((hook) => hook.id === Number(call.params.id));
  if (index < 0) throw notFound(call);
  repo.hooks.splice(index, 1);
  return bare(204);
}

/** As Gitea does it: the newest commit as a push, to this hook alone, and 204 also where none is sent. */
async function testHook(call: Call): Promise<Reply> {
  const repo = repoOf(call, "admin");
  const hook = repo.hooks.find((one) => one.id === Number(call.params.id));
  if (hook === undefined) throw notFound(call);
  const tip = (await branches(repo.dir)).get(repo.defaultBranch);
  if (tip === undefined || !hook.active || !eventTypes(hook).includes("push")) return bare(204);
  const by = mustUser(call);
  const payload = await pushPayload(call.world, repo, {
    by,
    branch: repo.defaultBranch,
    before: tip,
    after: tip,
  });
  call.world.deliveries.put(hook, "push", payload);
  return bare(204);
}

function createLabel(call: Call): Reply {
  const repo = repoToWrite(call, "write");
  const color = needText(call, "color").replace(/^#/, "");
  const label = { id: call.world.nextId("label"), name: needText(call, "name"), color, description: "" };
  repo.labels.push(label);
  return json(201, labelJson(call.world, repo, label));
}

/** Repositories with their people, hooks and labels. */
export const REPOSITORY_ROUTES: readonly Route[] = [
  { method: "POST", path: "/user/repos", handler: (call) => create(call, mustUser(call)) },
  { method: "POST", path: "/orgs/:org/repos", handler: (call) => createFor(call, "org") },
  {
    method: "POST",
    path: "/admin/users/:username/repos",
    handler: (call) => {
      if (!mustUser(call).isAdmin) throw refuse(call, 403, "user should be the site admin");
      return createFor(call, "username");
    },
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo",
    handler: (call) => {
      mustScope(call, "repository");
      return json(200, shown(call, repoOf(call)));
    },
  },
  {
    method: "GET",
    path: "/repositories/:id",
    handler: (call) => {
      const repo = call.world.repositories.find((one) => one.id === Number(call.params.id));
      if (repo === undefined || !may(call, repo, "read")) throw notFound(call);
      return json(200, shown(call, repo));
    },
  },
  { method: "POST", path: "/repos/:owner/:repo/transfer", handler: transfer },
  { method: "PATCH", path: "/repos/:owner/:repo", handler: edit },
  { method: "DELETE", path: "/repos/:owner/:repo", handler: remove },
  {
    method: "GET",
    path: "/repos/:owner/:repo/collaborators",
    handler: (call) => {
      const repo = repoOf(call);
      const asking = mustUser(call);
      const people = [...repo.collaborators.keys()].map((id) =>
        userJson(call.world, call.world.user(id), asking),
      );
      const { items, headers } = paged(call, people);
      return json(200, items, headers);
    },
  },
  {
    method: "GET",
    path: "/repos/:owner/:repo/collaborators/:username",
    handler: (call) => {
      const repo = repoOf(call);
      mustUser(call);
      const user = call.world.userByLogin(call.params.username ?? "");
      if (!user) throw refuse(call, 422, `user does not exist [uid: 0, name: ${call.params.username}]`);
      if (!repo.collaborators.has(user.id)) throw notFound(call);
      return bare(204);
    },
  },
  { method: "PUT", path: "/repos/:owner/:repo/collaborators/:username", handler: putCollaborator },
  {
    method: "DELETE",
    path: "/repos/:owner/:repo/collaborators/:username",
    handler: (call) => {
      const repo = repoToWrite(call, "admin");
      repo.collaborators.delete(call.world.userByLogin(call.params.username ?? "")?.id ?? 0);
      return bare(204);
    },
  },
  { method: "GET", path: "/repos/:owner/:repo/collaborators/:username/permission", handler: permission },
  { method: "GET", path: "/repos/:owner/:repo/reviewers", handler: reviewers },
  { method: "GET", path: "/repos/:owner/:repo/assignees", handler: assignees },
  { method: "GET", path: "/repos/:owner/:repo/hooks", handler: listHooks },
  { method: "POST", path: "/repos/:owner/:repo/hooks", handler: createHook },
  { method: "DELETE", path: "/repos/:owner/:repo/hooks/:id", handler: deleteHook },
  { method: "POST", path: "/repos/:owner/:repo/hooks/:id/tests", handler: testHook },
  {
    method: "GET",
    path: "/repos/:owner/:repo/labels",
    handler: (call) => {
      mustScope(call, "issue");
      const repo = repoOf(call);
      const { items, headers } = paged(call, repo.labels);
      return json(
        200,
        items.map((label) => labelJson(call.world, repo, label)),
        headers,
      );
    },
  },
  { method: "POST", path: "/repos/:owner/:repo/labels", handler: createLabel },
];
