import type { Api } from "gitea-js";
import * as z from "zod";
import * as answers from "./answers.ts";
import { type Call, type Calls, check, type ForgeAnswer } from "./calls.ts";
import { readAll } from "./lists.ts";
import { label, segment, segments } from "./paths.ts";
import type { RepositoryName } from "./port.ts";

export interface OAuthApplication {
  readonly id: number;
  readonly name: string;
  readonly clientId: string;
  /** Told once, when it is made; empty later. */
  readonly clientSecret: string;
  readonly redirects: readonly string[];
}

/** The account that set-up acts as. */
export interface SetupAccount {
  readonly id: number;
  readonly login: string;
  readonly email: string;
  /** Administers the whole forge. */
  readonly isSiteAdmin: boolean;
}

const account = z
  .object({ id: z.number().int(), login: z.string(), email: answers.text, is_admin: answers.flag })
  .transform(
    (seen): SetupAccount => ({
      ...{ id: seen.id, login: seen.login, email: seen.email, isSiteAdmin: seen.is_admin },
    }),
  );
const application = z
  .object({
    ...{ id: z.number().int(), name: answers.text, client_id: answers.text, client_secret: answers.text },
    redirect_uris: z.array(z.string()).nullish(),
  })
  .transform(
    (seen): OAuthApplication => ({
      ...{ id: seen.id, name: seen.name, clientId: seen.client_id, clientSecret: seen.client_secret },
      redirects: seen.redirect_uris ?? [],
    }),
  );

/** What set-up asks about accounts: its own with its scopes and OAuth2 applications, and those it makes. */
export function createAccountCalls({ api, calls }: { readonly api: Api<unknown>; readonly calls: Calls }) {
  const { get, find, write } = plainCalls(calls);
  const accountOf = (login: string): Promise<SetupAccount | null> => {
    const send = () => api.users.userGet(segment(login));
    return find({ doing: `looking for ${login}`, send }, account);
  };
  return {
    me: () => get({ doing: "reading whose token it is", send: () => api.user.userGetCurrent() }, account),
    /** Which of these scopes the token lacks, each tried by a call that changes nothing. */
    async lackingScopes(name: RepositoryName): Promise<string[]> {
      const [owner, repo] = segments(name);
      const tries: [scope: string, send: Call["send"]][] = [
        ["read:user", () => api.user.userGetCurrent()],
        ["read:organization", () => api.user.orgListCurrentUserOrgs()],
        ["read:repository", () => api.repos.repoGet(owner, repo)],
        ["write:issue", () => api.repos.issuePostCommentReaction(owner, repo, 0, { content: "eyes" })],
        ["write:repository", () => api.repos.repoEditHook(owner, repo, 0, {})],
      ];
      const lacking: string[] = [];
      for (const [scope, send] of tries) {
        const answer = await calls.writeOnce({ doing: `trying the scope ${scope}`, send });
        if (answer.status === 403 && saysScope(answer)) lacking.push(scope);
      }
      return lacking;
    },
    /** The forge lets this account do nothing before a person has changed its password. */
    async mustChangePassword(): Promise<boolean> {
      const call = { doing: "reading whose token it is", send: () => api.user.userGetCurrent() };
      const answer = await calls.writeOnce(call);
      return answer.status === 403 && /must change your password/i.test(saidIn(answer));
    },
    /** Whether the token reads what Lazarus never asks for: it has more scopes than it needs. */
    async hasMoreScopes(): Promise<boolean> {
      const send = () => api.notifications.notifyNewAvailable();
      return (await calls.writeOnce({ doing: "trying the scope read:notification", send })).status === 200;
    },
    /** Null where the token may not: that needs the scope `write:user`, or the account's password. */
    async applications(): Promise<OAuthApplication[] | null> {
      const page = (query: object) => api.user.userGetOauth2Application(query);
      const list = { doing: "reading the OAuth2 applications", page, schema: z.array(application) };
      return (await readAll(calls, list, [401, 403, 404]))?.items ?? null;
    },
    /** Null where the token may not. */
    async createApplication(name: string, redirect: string): Promise<OAuthApplication | null> {
      const sent = { name, redirect_uris: [redirect], confidential_client: true };
      const call = {
        doing: `making the OAuth2 application ${name}`,
        send: () => api.user.userCreateOAuth2Application(sent),
      };
      const answer = await calls.writeOnce(call);
      if (answer.status === 403 || answer.status === 401) return null;
      if (answer.status >= 300) throw calls.refusal(call, answer);
      return check(call.doing, answer.data, application);
    },
    async deleteApplication(id: number): Promise<void> {
      const send = () => api.user.userDeleteOAuth2Application(id);
      await calls.write({ doing: "removing the OAuth2 application", send, isDoneWhenMissing: true });
    },
    /** Makes an account, as a site administrator. Null where it exists. */
    async createAccount(made: {
      login: string;
      email: string;
      password: string;
    }): Promise<SetupAccount | null> {
      const sent = {
        ...{ username: made.login, email: made.email, password: made.password },
        ...{ must_change_password: false, source_id: 0, login_name: made.login },
      };
      const call = {
        doing: `making the account ${made.login}`,
        send: () => api.admin.adminCreateUser(sent),
      };
      if ((await accountOf(made.login)) !== null) return null;
      return write(call, account);
    },
    /** An account, or an organization; site administrators see its e-mail though it hides that. */
    accountOf,
    /** Gives an account another password, as a site administrator. */
    async changePassword(login: string, password: string): Promise<void> {
      const sent = { login_name: login, source_id: 0, password, must_change_password: false };
      const send = () => api.admin.adminEditUser(segment(login), sent);
      await calls.write({ doing: `giving ${login} another password`, send });
    },
    /** Makes a token of the account that this was opened with, by its password. */
    async createToken(login: string, name: string, scopes: readonly string[]): Promise<string> {
      const send = () => api.users.userCreateToken(segment(login), { name, scopes: [...scopes] });
      const made = await write({ doing: `making a token of ${login}`, send }, z.object({ sha1: z.string() }));
      return made.sha1;
    },
    /** Removes a token of the account that this was opened with, by its password. */
    async deleteToken(login: string, name: string): Promise<void> {
      const send = () => api.users.userDeleteAccessToken(segment(login), segment(name));
      await calls.write({ doing: `removing a token of ${login}`, send, isDoneWhenMissing: true });
    },
    /** Also where the account is one already: it may do what is said here then. */
    async addCollaborator(name: RepositoryName, login: string, permission: "write" | "admin"): Promise<void> {
      const send = () => api.repos.repoAddCollaborator(...segments(name), segment(login), { permission });
      await calls.write({ doing: `adding ${login} to ${label(name)}`, send });
    },
    /** Whether an account was added to the repository itself; owners and teams may more without that. */
    async isCollaborator(name: RepositoryName, login: string): Promise<boolean> {
      const send = () => api.repos.repoCheckCollaborator(...segments(name), segment(login));
      const call = { doing: `looking for ${login} in ${label(name)}`, send };
      const answer = await calls.read(call);
      if (answer.status === 204) return true;
      if (answer.status === 404 || answer.status === 422) return false;
      throw calls.refusal(call, answer);
    },
  };
}

/** Whether a refusal is about the token's scope, and not about the account's rights: both are 403. */
function saysScope(answer: ForgeAnswer): boolean {
  return /required scope/.test(saidIn(answer));
}

function saidIn({ data }: ForgeAnswer): string {
  return typeof data === "object" && data !== null && "message" in data ? String(data.message) : "";
}

/** Calls that want one status, or nothing where there is none. */
export function plainCalls(calls: Calls) {
  const get = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>> => {
    const answer = await calls.read(call);
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(call.doing, answer.data, schema);
  };
  const find = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S> | null> => {
    const answer = await calls.read(call);
    if (answer.status === 404 || answer.status === 204) return null;
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(call.doing, answer.data, schema);
  };
  const write = async <S extends z.ZodType>(call: Call, schema: S): Promise<z.output<S>> =>
    check(call.doing, (await calls.write(call)).data, schema);
  return { get, find, write };
}
