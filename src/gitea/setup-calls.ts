import { giteaApi } from "gitea-js";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import * as answers from "./answers.ts";
import { check, createCalls } from "./calls.ts";
import { dateIn } from "./date.ts";
import { createFetch } from "./http.ts";
import { readAll } from "./lists.ts";
import { label, segment, segments } from "./paths.ts";
import type { Repository, RepositoryName } from "./port.ts";
import { createAccountCalls, plainCalls } from "./setup-accounts.ts";

export type { OAuthApplication, SetupAccount } from "./setup-accounts.ts";

/** Who asks: a token, or a login with its password (for what forges give to passwords alone). */
export type SetupAuth =
  | { readonly token: string }
  | { readonly login: string; readonly password: string }
  | null;

export interface SetupForgeOptions {
  /** Without a slash at its end. */
  readonly url: string;
  readonly auth: SetupAuth;
  readonly ca?: string | undefined;
  readonly proxyFor?: ((url: URL) => string | null) | undefined;
  readonly clock: Clock;
}

/** A hook as set-up looks at it. */
export interface HookThere {
  readonly id: number;
  readonly url: string;
  readonly isActive: boolean;
  readonly isJson: boolean;
  readonly events: readonly string[];
}

/** What the hook must tell of. Servers answer the coarse names with all the fine ones that they stand for. */
export const HOOK_EVENTS = ["issues", "pull_request", "push", "create", "delete"] as const;

/**
 * What only set-up asks of a forge: it makes hooks, labels, files and applications. Errors are as `Forge` of
 * port.ts says; what is missing, or hidden from the account, is null.
 */
export type SetupForge = ReturnType<typeof createSetupForge>;

const TIMEOUT_MS = 15_000;

const hook = z
  .object({
    id: z.number().int(),
    active: answers.flag,
    events: z.array(z.string()).nullish(),
    config: z.object({ url: answers.text, content_type: answers.text }).nullish(),
  })
  .transform(
    (seen): HookThere => ({
      ...{ id: seen.id, isActive: seen.active, events: seen.events ?? [], url: seen.config?.url ?? "" },
      isJson: seen.config?.content_type === "json",
    }),
  );
const named = z.object({ id: z.number().int(), name: z.string() });
const file = z.object({ content: answers.text, sha: answers.text });
const numbered = z.object({ number: z.number().int(), html_url: answers.text });

/** The forge as set-up uses it, with `auth`. */
export function createSetupForge(options: SetupForgeOptions) {
  const { url, auth, clock } = options;
  const token = auth !== null && "token" in auth ? auth.token : "";
  const secret = auth === null ? "" : "token" in auth ? auth.token : auth.password;
  const plain = createFetch({ ca: options.ca, proxyFor: options.proxyFor, timeoutMs: TIMEOUT_MS });
  const customFetch: typeof fetch =
    auth === null || "token" in auth
      ? plain
      : (input, init = {}) => {
          const headers = new Headers(init.headers);
          const pair = Buffer.from(`${auth.login}:${auth.password}`).toString("base64");
          headers.set("authorization", `Basic ${pair}`);
          return plain(input, { ...init, headers });
        };
  const api = giteaApi(url, { ...(token === "" ? {} : { token }), customFetch });
  const redact = (text: string) => (secret === "" ? text : text.replaceAll(secret, "[redacted]"));
  const calls = createCalls({ clock, redact, tokenKey: "the token" });
  const { find, write } = plainCalls(calls);

  return {
    ...createAccountCalls({ api, calls }),
    /** Version, the forge's clock (epoch ms), and how long it took to answer (ms). */
    async hello(): Promise<{ version: string; clock: number; tookMs: number }> {
      const call = { doing: `asking ${url} who it is`, send: () => api.version.getVersion() };
      const from = clock.monotonic();
      const answer = await calls.read(call);
      const tookMs = Math.round(clock.monotonic() - from);
      if (answer.status !== 200) throw calls.refusal(call, answer);
      const { version } = check(call.doing, answer.data, answers.version);
      return { version, clock: dateIn(answer.headers, call.doing), tookMs };
    },
    repositories: async (): Promise<Repository[]> =>
      (
        await readAll(calls, {
          doing: "listing the repositories that the bot sees",
          page: (query) => api.user.userCurrentListRepos(query),
          schema: z.array(answers.repository),
        })
      )?.items ?? [],
    repository: (name: RepositoryName) =>
      find(
        { doing: `reading repository ${label(name)}`, send: () => api.repos.repoGet(...segments(name)) },
        answers.repository,
      ),
    /** The forge's address as it writes it itself, by a repository's; null: the repository is not seen. */
    async calledItself(name: RepositoryName): Promise<string | null> {
      const call = {
        doing: `reading repository ${label(name)}`,
        send: () => api.repos.repoGet(...segments(name)),
      };
      const found = await find(call, z.object({ html_url: answers.text }));
      return found === null ? null : found.html_url.replace(/\/[^/]+\/[^/]+\/?$/, "");
    },
    /** Null where the account may not see them: it needs to administer the repository. */
    hooks: async (name: RepositoryName): Promise<HookThere[] | null> => {
      const page = (query: object) => api.repos.repoListHooks(...segments(name), query);
      const list = { doing: `reading the hooks of ${label(name)}`, page, schema: z.array(hook) };
      return (await readAll(calls, list, [401, 403, 404]))?.items ?? null;
    },
    createHook(name: RepositoryName, to: { url: string; secret: string }) {
      const config = { url: to.url, content_type: "json", secret: to.secret };
      const sent = { type: "gitea" as const, active: true, events: [...HOOK_EVENTS], config };
      const send = () => api.repos.repoCreateHook(...segments(name), sent);
      return write({ doing: `making the hook of ${label(name)}`, send }, hook);
    },
    async mendHook(name: RepositoryName, id: number): Promise<void> {
      const send = () =>
        api.repos.repoEditHook(...segments(name), id, { active: true, events: [...HOOK_EVENTS] });
      await calls.write({ doing: `mending the hook of ${label(name)}`, send });
    },
    async deleteHook(name: RepositoryName, id: number): Promise<void> {
      const send = () => api.repos.repoDeleteHook(...segments(name), id);
      await calls.write({ doing: `removing the hook of ${label(name)}`, send, isDoneWhenMissing: true });
    },
    async testHook(name: RepositoryName, id: number): Promise<void> {
      const send = () => api.repos.repoTestHook(...segments(name), id);
      await calls.write({ doing: `asking for a test delivery of ${label(name)}`, send });
    },
    labels: async (name: RepositoryName) => {
      const page = (query: object) => api.repos.issueListLabels(...segments(name), query);
      const list = { doing: `reading the labels of ${label(name)}`, page, schema: z.array(named) };
      return (await readAll(calls, list))?.items ?? [];
    },
    createLabel(name: RepositoryName, made: { name: string; color: string; description: string }) {
      const send = () => api.repos.issueCreateLabel(...segments(name), made);
      return write({ doing: `making the label ${made.name} in ${label(name)}`, send }, named);
    },
    async deleteLabel(name: RepositoryName, id: number): Promise<void> {
      const send = () => api.repos.issueDeleteLabel(...segments(name), id);
      await calls.write({ doing: `removing a label of ${label(name)}`, send, isDoneWhenMissing: true });
    },
    /** A file's text and its blob; null where there is none. */
    async file(name: RepositoryName, path: string, ref?: string) {
      const query = ref === undefined ? {} : { ref };
      const send = () => api.repos.repoGetContents(...segments(name), encoded(path), query);
      // An empty repository answers an empty list.
      const call = { doing: `reading ${path} of ${label(name)}`, send };
      const found = await find(call, z.union([file, z.array(z.unknown())]));
      if (found === null || Array.isArray(found)) return null;
      return { text: Buffer.from(found.content, "base64").toString("utf8"), sha: found.sha };
    },
    /** One commit with one new file; on a new branch from the default one where `newBranch` names it. */
    async commitFile(
      name: RepositoryName,
      commit: { path: string; text: string; message: string; newBranch: string | null },
    ): Promise<void> {
      const sent = {
        ...{ content: Buffer.from(commit.text).toString("base64"), message: commit.message },
        ...(commit.newBranch === null ? {} : { new_branch: commit.newBranch }),
      };
      const send = () => api.repos.repoCreateFile(...segments(name), encoded(commit.path), sent);
      await calls.write({ doing: `committing ${commit.path} to ${label(name)}`, send });
    },
    async removeFile(name: RepositoryName, path: string, sha: string): Promise<void> {
      const send = () =>
        api.repos.repoDeleteFile(...segments(name), encoded(path), { sha, message: `Remove ${path}` });
      await calls.write({ doing: `removing ${path} of ${label(name)}`, send, isDoneWhenMissing: true });
    },
    hasBranch: async (name: RepositoryName, branch: string): Promise<boolean> => {
      const send = () => api.repos.repoGetBranch(...segments(name), encoded(branch));
      return (await find({ doing: `reading ${branch} of ${label(name)}`, send }, z.unknown())) !== null;
    },
    async deleteBranch(name: RepositoryName, branch: string): Promise<void> {
      const send = () => api.repos.repoDeleteBranch(...segments(name), encoded(branch));
      await calls.write({ doing: `removing ${branch} of ${label(name)}`, send, isDoneWhenMissing: true });
    },
    /** The open pull request from that branch of the same repository; null: none. */
    async pullOf(name: RepositoryName, branch: string, base: string): Promise<{ number: number } | null> {
      const send = () =>
        api.repos.repoGetPullRequestByBaseHead(...segments(name), segment(base), encoded(branch));
      const call = { doing: `looking for the pull request of ${branch} in ${label(name)}`, send };
      const found = await find(call, numbered.extend({ state: answers.text }));
      return found?.state === "open" ? { number: found.number } : null;
    },
    openPull(name: RepositoryName, pull: { head: string; base: string; title: string; body: string }) {
      const send = () => api.repos.repoCreatePullRequest(...segments(name), pull);
      return write({ doing: `opening a pull request in ${label(name)}`, send }, numbered);
    },
    async closePull(name: RepositoryName, number: number): Promise<void> {
      const send = () => api.repos.repoEditPullRequest(...segments(name), number, { state: "closed" });
      await calls.write({ doing: `closing ${label(name)}#${number}`, send, isDoneWhenMissing: true });
    },
    openIssue(name: RepositoryName, issue: { title: string; body: string }) {
      const send = () => api.repos.issueCreateIssue(...segments(name), issue);
      return write({ doing: `opening an issue in ${label(name)}`, send }, numbered);
    },
    async closeIssue(name: RepositoryName, number: number): Promise<void> {
      const send = () => api.repos.issueEditIssue(...segments(name), number, { state: "closed" });
      await calls.write({ doing: `closing ${label(name)}#${number}`, send, isDoneWhenMissing: true });
    },
  };
}

/** `a/b c` as the segments of a path. */
function encoded(path: string): string {
  return path.split("/").map(segment).join("/");
}
