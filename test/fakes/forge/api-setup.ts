import { eventTypes, subscribe } from "./events.ts";
import { bare, fields, json, may, mustScope, mustUser, notFound, paged, type Route, repoOf } from "./http.ts";
import { repositoryJson, rightsOf } from "./payloads.ts";

/** What set-up asks besides: the repositories of an account, and changes of hooks and labels. */
export const SETUP_ROUTES: readonly Route[] = [
  {
    method: "GET",
    path: "/user/repos",
    handler: (call) => {
      const user = mustUser(call);
      const { world } = call;
      const mine = world.repositories.filter((repo) => {
        const isMember = world.teams.some(
          (team) => team.organizationId === repo.ownerId && team.members.has(user.id),
        );
        return repo.ownerId === user.id || repo.collaborators.has(user.id) || isMember;
      });
      const { items, headers } = paged(
        call,
        mine.filter((repo) => may(call, repo, "read")),
      );
      const shown = items.map((repo) => repositoryJson(world, repo, rightsOf(world, repo, user)));
      return json(200, shown, headers);
    },
  },
  {
    method: "GET",
    path: "/user/orgs",
    handler: (call) => {
      mustUser(call);
      mustScope(call, "user", "organization");
      return json(200, []);
    },
  },
  {
    method: "PATCH",
    path: "/repos/:owner/:repo/hooks/:id",
    handler: (call) => {
      const repo = repoOf(call, "admin");
      const hook = repo.hooks.find((one) => one.id === Number(call.params.id));
      if (hook === undefined) throw notFound(call);
      const { active, events } = fields(call);
      const changed = {
        ...hook,
        ...(typeof active === "boolean" ? { active } : {}),
        ...(Array.isArray(events) ? { flags: subscribe(events.map(String)) } : {}),
      };
      repo.hooks[repo.hooks.indexOf(hook)] = changed;
      return json(200, { id: changed.id, active: changed.active, events: eventTypes(changed) });
    },
  },
  {
    method: "DELETE",
    path: "/repos/:owner/:repo/labels/:id",
    handler: (call) => {
      const repo = repoOf(call, "write");
      mustUser(call);
      const at = repo.labels.findIndex((one) => one.id === Number(call.params.id));
      if (at >= 0) repo.labels.splice(at, 1);
      return bare(204);
    },
  },
];
