import type { Api } from "gitea-js";
import * as answers from "./answers.ts";
import { type Call, type Calls, check } from "./calls.ts";
import { readAll } from "./lists.ts";
import { label, segment, segments } from "./paths.ts";
import type { Forge, PermissionAnswer, Person, RepositoryName } from "./port.ts";

/** The part of the forge that says who may do what. */
export type RightsCalls = Pick<
  Forge,
  "permission" | "personById" | "readers" | "writers" | "isTeamMember" | "isTeamVisible"
>;

/**
 * `readers` are whom a review can be requested of (direct collaborators, the owner, members of teams that see
 * pull requests), `writers` whom an issue can be assigned to; site administrators are in neither.
 * @see Gitea services/pull/reviewer.go, models/repo/user_repo.go
 */
export function createRights(deps: {
  readonly api: Api<unknown>;
  readonly calls: Calls;
  /** Whose account asks, for people: `the bot`. */
  readonly account: string;
}): RightsCalls {
  const { api, calls, account } = deps;
  const permission = async (name: RepositoryName, login: string): Promise<PermissionAnswer> => {
    const doing = `reading the permission of ${login} on ${label(name)}`;
    const send = () => api.repos.repoGetRepoPermissions(...segments(name), segment(login));
    const answer = await calls.read({ doing, send });
    if (answer.status === 404) return { kind: "no-such-user" };
    if (answer.status === 403) {
      const said = calls.refusal({ doing, send }, answer).message;
      return {
        kind: "unknowable",
        why: `${account} needs admin rights on ${label(name)} to look up permissions (${said})`,
      };
    }
    if (answer.status !== 200) throw calls.refusal({ doing, send }, answer);
    const seen = check(doing, answer.data, answers.permission);
    return { kind: "known", permission: seen.permission, userId: seen.user.id };
  };

  const peopleOf = async (call: Call): Promise<Person[] | null> => {
    const answer = await calls.read(call);
    if (answer.status === 403 || answer.status === 404) return null;
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(call.doing, answer.data, answers.people);
  };

  /** Null where there is no such team, or the bot cannot see it. */
  const teamId = async (org: string, team: string, doing: string): Promise<number | null> => {
    const page = (part: object) => api.orgs.teamSearch(segment(org), { q: team, ...part });
    const found = await readAll(calls, { doing, page, schema: answers.teams }, [403, 404]);
    const wanted = (candidate: { name: string }) => candidate.name.toLowerCase() === team.toLowerCase();
    return found?.items.find(wanted)?.id ?? null;
  };

  const isTeamMember = async (org: string, team: string, login: string): Promise<boolean> => {
    const doing = `looking for ${login} in team ${org}/${team}`;
    const id = await teamId(org, team, doing);
    if (id === null) return false;
    const member = { doing, send: () => api.teams.orgListTeamMember(id, segment(login)) };
    const seen = await calls.read(member);
    if (seen.status === 200) return true;
    if (seen.status === 403 || seen.status === 404) return false;
    throw calls.refusal(member, seen);
  };

  return {
    permission,

    async personById(id) {
      const call = { doing: `looking for account ${id}`, send: () => api.users.userSearch({ uid: id }) };
      const answer = await calls.read(call);
      if (answer.status === 403 || answer.status === 404) return null;
      if (answer.status !== 200) throw calls.refusal(call, answer);
      const found = check(call.doing, answer.data, answers.foundPeople);
      return found.find((one) => one.id === id) ?? null;
    },

    readers: (name) =>
      peopleOf({
        doing: `reading who may read ${label(name)}`,
        send: () => api.repos.repoGetReviewers(...segments(name)),
      }),

    async writers(name) {
      const send = () => api.repos.repoGetAssignees(...segments(name));
      return (await peopleOf({ doing: `reading who may write to ${label(name)}`, send })) ?? [];
    },

    isTeamMember,

    async isTeamVisible(org, team) {
      return (await teamId(org, team, `looking for the team ${org}/${team}`)) !== null;
    },
  };
}
