import { giteaApi } from "gitea-js";
import type { z } from "zod";
import type { Clock } from "../clock.ts";
import * as answers from "./answers.ts";
import { type Call, check, createCalls } from "./calls.ts";
import { dateIn } from "./date.ts";
import { createFetch } from "./http.ts";
import { PAGE, readAll } from "./lists.ts";
import { createMovements } from "./moved.ts";
import { label, numbered, renamedTo, segment, segments, thread } from "./paths.ts";
import type { Forge, PullRequest, Repository, RepositoryName } from "./port.ts";
import { createRecentRepositories, once } from "./recent.ts";
import { createReviewCalls } from "./review-calls.ts";
import { createRights } from "./rights.ts";
import { createThreadCalls } from "./thread-calls.ts";

export { parseRepositoryName } from "./paths.ts";

const MAX_RENAMES = 3;
const REQUEST_TIMEOUT_MS = 15_000;

export interface ForgeOptions {
  /** Where people open the forge; may have a sub-path. */
  readonly url: string;
  readonly token: string;
  /** Which key of the file holds the token, and whose account that is, for people; the bot's where untold. */
  readonly account?: { readonly key: string; readonly name: string } | undefined;
  /** A certificate authority in PEM that is trusted besides the usual ones. */
  readonly ca?: string | undefined;
  /** Hides secrets; all that is posted and all that an error repeats goes through it. */
  readonly redact: (text: string) => string;
  readonly requestTimeoutMs?: number | undefined;
  /** The largest answer that is read, in bytes. */
  readonly mostBytes?: number | undefined;
  readonly clock: Clock;
  /** Told of each call: null where the forge answered, else why it could not be reached. */
  readonly heard?: ((error: unknown | null) => void) | undefined;
  /** The proxy to use for an address, or null. */
  readonly proxyFor?: ((url: URL) => string | null) | undefined;
}

/**
 * The forge behind the API of Gitea 1.23 or Forgejo 10, through gitea-js. Errors are as `Forge` says; no
 * redirect is ever followed with the token but a rename of a repository on the same origin, and only by
 * `repository`.
 */
export function createForge(options: ForgeOptions): Forge {
  const base = options.url.replace(/\/+$/, "");
  const { clock, redact, token } = options;
  const timeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const { ca, proxyFor, mostBytes } = options;
  const customFetch = createFetch({ ca, proxyFor, timeoutMs, mostBytes });
  const api = giteaApi(base, { token, customFetch });
  // Errors must not repeat the token, whatever `redact` knows.
  const calls = createCalls({
    clock,
    heard: options.heard,
    onElsewhere: () => recent.forget(),
    tokenKey: options.account?.key ?? "forge.token",
    redact: (text) => (token === "" ? text : redact(text).replaceAll(token, "[redacted]")),
  });

  /** What is there, or null where the forge says 404, or 204 for a thing that has no such form. */
  const find = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S> | null> => {
    const answer = await calls.read(call);
    if (answer.status === 404 || answer.status === 204) return null;
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(call.doing, answer.data, schema);
  };

  const get = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>> => {
    const answer = await calls.read(call);
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(call.doing, answer.data, schema);
  };

  const write = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>> =>
    check(call.doing, (await calls.write(call)).data, schema);

  const recent = createRecentRepositories(clock);
  const findRepository = async (name: RepositoryName): Promise<Repository | null> => {
    let [owner, repo] = segments(name);
    const doing = `reading repository ${label(name)}`;
    for (let hop = 0; ; hop++) {
      const call = { doing, send: () => api.repos.repoGet(owner, repo) };
      const answer = await calls.read(call);
      if (answer.status === 404) return null;
      if (answer.status === 200) return check(doing, answer.data, answers.repository);
      const next = hop < MAX_RENAMES ? renamedTo(answer, base) : null;
      if (next === null) throw calls.refusal(call, answer);
      [owner, repo] = next;
    }
  };

  const repository = async (name: RepositoryName): Promise<Repository | null> => {
    const found = await findRepository(name);
    recent.found(name, found);
    return found;
  };

  const repositoryById = (id: number): Promise<Repository | null> =>
    find(
      { doing: `reading repository ${id}`, send: () => api.repositories.repoGetById(id) },
      answers.repository,
    );

  const findPullRequest = async (
    name: RepositoryName,
    head: string,
    target: string,
  ): Promise<PullRequest | null> => {
    const doing = `looking for the pull request of ${head} in ${label(name)}`;
    const isOurs = (pull: z.output<typeof answers.pullRequest>) =>
      pull.head.ref === head &&
      pull.base.ref === target &&
      pull.head.repositoryId !== null &&
      pull.head.repositoryId === pull.baseRepositoryId;
    // One question where there is none, or it is the one; a list of many takes a real server seconds for each
    // page. By base and head the API answers one of any state, also an old closed one: then the open ones are
    // looked through, and so they are where a slash in the base would make another path.
    if (!target.includes("/")) {
      const path = head.split("/").map(segment).join("/");
      const ask = () => api.repos.repoGetPullRequestByBaseHead(...segments(name), segment(target), path);
      const known = await find({ doing, send: ask }, answers.pullRequest);
      if (known === null) return null;
      if (known.isOpen && isOurs(known)) return withoutBaseRepository(known);
    }
    const send = (query: object) =>
      api.repos.repoListPullRequests(...segments(name), { ...query, state: "open" });
    const open = await readAll(calls, { doing, page: send, schema: answers.pullRequests });
    const found = open?.items.find(isOurs);
    return found === undefined ? null : withoutBaseRepository(found);
  };

  return {
    ...createRights({ api, calls, account: options.account?.name ?? "the bot" }),
    ...createMovements({ api, calls }),
    ...createThreadCalls({ api, calls, clock }),
    ...createReviewCalls({ api, calls, redact }),

    me: once(() =>
      get({ doing: "reading the bot's own account", send: () => api.user.userGetCurrent() }, answers.person),
    ),

    person: (login) =>
      find({ doing: `looking for ${login}`, send: () => api.users.userGet(segment(login)) }, answers.person),

    async isOrganization(name) {
      const call = { doing: `looking who ${name} is`, send: () => api.orgs.orgGet(segment(name)) };
      return (await find(call, answers.organization)) !== null;
    },

    async clock() {
      const call = { doing: "reading the forge's clock", send: () => api.version.getVersion() };
      const answer = await calls.read(call);
      if (answer.status !== 200) throw calls.refusal(call, answer);
      return dateIn(answer.headers, call.doing);
    },

    async probe() {
      const doing = "looking whether the forge answers";
      await calls.read({ doing, isProbe: true, send: () => api.version.getVersion() });
    },

    async version() {
      const call = { doing: "reading the forge's version", send: () => api.version.getVersion() };
      return (await get(call, answers.version)).version;
    },

    repository,
    recentRepository: async (name) => recent.of(name) ?? repository(name),
    tellRepository: recent.told,
    forgetRepositories: recent.forget,
    repositoryById,

    issue: (name, number) =>
      find(
        {
          doing: `reading issue ${thread(name, number)}`,
          send: () => api.repos.issueGetIssue(...numbered(name, number)),
        },
        answers.issue,
      ),

    async pullRequest(name, number) {
      const send = () => api.repos.repoGetPullRequest(...numbered(name, number));
      const found = await find(
        { doing: `reading pull request ${thread(name, number)}`, send },
        answers.pullRequest,
      );
      return found === null ? null : withoutBaseRepository(found);
    },

    findPullRequest,

    async hooks(name) {
      const page = (part: object) => api.repos.repoListHooks(...segments(name), part);
      const list = { doing: `reading the hooks of ${label(name)}`, page, schema: answers.hooks };
      return (await readAll(calls, list, [403, 404]))?.items ?? null;
    },

    async testHook(name, id) {
      const send = () => api.repos.repoTestHook(...segments(name), id);
      await calls.write({ doing: `asking for a test delivery of ${label(name)}`, send });
    },

    branch: (name, branch) =>
      find(
        {
          doing: `reading branch ${branch} of ${label(name)}`,
          send: () => api.repos.repoGetBranch(...segments(name), branch.split("/").map(segment).join("/")),
        },
        answers.branch,
      ),

    issuesBy(name, author) {
      const query = { created_by: author, state: "all", type: "issues", page: 1, limit: PAGE } as const;
      const send = () => api.repos.issueListIssues(...segments(name), query);
      return get({ doing: `reading the issues of ${author} in ${label(name)}`, send }, answers.issues);
    },

    postComment(name, number, body) {
      const send = () => api.repos.issueCreateComment(...numbered(name, number), { body: redact(body.text) });
      return write({ doing: `commenting on ${thread(name, number)}`, send }, answers.comment);
    },

    async editComment(name, id, body) {
      const send = () => api.repos.issueEditComment(...numbered(name, id), { body: redact(body.text) });
      await calls.write({ doing: `editing comment ${id} of ${label(name)}`, send, isCard: true });
    },

    async deleteComment(name, id) {
      const send = () => api.repos.issueDeleteComment(...numbered(name, id));
      await calls.write({ doing: `deleting comment ${id} of ${label(name)}`, send, isDoneWhenMissing: true });
    },

    async setStatus(name, commit, { context, state, description, targetUrl }) {
      const sent = { context, state, description: redact(description), target_url: targetUrl } as const;
      const send = () => api.repos.repoCreateStatus(...segments(name), commit, sent);
      await calls.write({
        doing: `setting a status of ${commit.slice(0, 10)} in ${label(name)}`,
        send,
        isCard: true,
      });
    },

    async react(name, commentId, reaction) {
      const send = () =>
        api.repos.issuePostCommentReaction(...numbered(name, commentId), { content: reaction });
      await calls.write({ doing: `reacting to comment ${commentId} of ${label(name)}`, send });
    },

    openIssue(name, title, body) {
      const draft = { title: redact(title), body: redact(body.text) };
      const send = () => api.repos.issueCreateIssue(...segments(name), draft);
      return write({ doing: `opening an issue in ${label(name)}`, send }, answers.issue);
    },

    async openPullRequest(name, draft) {
      const sent = { ...draft, title: redact(draft.title), body: redact(draft.body.text) };
      const send = () => api.repos.repoCreatePullRequest(...segments(name), sent);
      const doing = `opening a pull request from ${draft.head} in ${label(name)}`;
      return withoutBaseRepository(await write({ doing, send }, answers.pullRequest));
    },

    async editPullRequest(name, number, change) {
      const sent = {
        ...(change.title === undefined ? {} : { title: redact(change.title) }),
        ...(change.body === undefined ? {} : { body: redact(change.body.text) }),
      };
      const send = () => api.repos.repoEditPullRequest(...numbered(name, number), sent);
      await calls.write({ doing: `editing pull request ${thread(name, number)}`, send, isCard: true });
    },
  };
}

function withoutBaseRepository({
  baseRepositoryId: _,
  ...pull
}: z.output<typeof answers.pullRequest>): PullRequest {
  return pull;
}
