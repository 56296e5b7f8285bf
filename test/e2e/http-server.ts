import { Browser } from "./browser.ts";
import { send } from "./request.ts";
import type {
  E2eComment,
  E2ePermission,
  E2ePullRequest,
  E2eReaction,
  E2eServer,
  E2eUser,
  NewE2eRepository,
  RawAnswer,
  ReviewEvent,
} from "./server.ts";

/** How long a real server may need to know what it was just told (tests of merges, heads), ms. */
const SETTLE_MS = 20_000;

type Body = Record<string, unknown>;

export interface ServerSeat {
  readonly name: E2eServer["name"];
  readonly url: string;
  readonly version: string;
  readonly admin: E2eUser;
  /** Ends the process or server and removes what it left. */
  readonly stop: () => Promise<void>;
}

/** The one client of both kinds of servers: everything goes by HTTP, nothing knows which of them answers. */
export class HttpServer implements E2eServer {
  readonly name: E2eServer["name"];
  readonly url: string;
  readonly version: string;
  readonly admin: E2eUser;
  readonly stop: () => Promise<void>;

  constructor(seat: ServerSeat) {
    this.name = seat.name;
    this.url = seat.url;
    this.version = seat.version;
    this.admin = seat.admin;
    this.stop = seat.stop;
  }

  async api(as: E2eUser | null, method: string, path: string, body?: unknown): Promise<RawAnswer> {
    const headers: Record<string, string> = {};
    if (as) headers.Authorization = `token ${as.token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return send(`${this.url}/api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
    });
  }

  async createUser(login: string): Promise<E2eUser> {
    const password = `pass-of-${login}`;
    const wanted = { username: login, email: `${login}@example.org`, password, must_change_password: false };
    const made = await this.#want(201, this.admin, "POST", "/admin/users", wanted);
    return { id: Number(made.id), login, password, token: await createToken(this.url, login, password) };
  }

  async createRepository(wanted: NewE2eRepository): Promise<string> {
    const { owner, name } = wanted;
    const isPerson = (await this.api(this.admin, "GET", `/users/${owner}`)).status === 200;
    const isOrganization = (await this.api(this.admin, "GET", `/orgs/${owner}`)).status === 200;
    if (!isPerson && !isOrganization) await this.#want(201, this.admin, "POST", "/orgs", { username: owner });
    const isOwnedByPerson = isPerson && !isOrganization;
    const path = isOwnedByPerson ? `/admin/users/${owner}/repos` : `/orgs/${owner}/repos`;
    const body = {
      name,
      private: wanted.private ?? false,
      auto_init: wanted.autoInit ?? true,
      default_branch: "main",
    };
    await this.#want(201, this.admin, "POST", path, body);
    const repo = `${owner}/${name}`;
    for (const [file, text] of Object.entries(wanted.files ?? {})) {
      await this.commitFile(this.admin, repo, { branch: "main", path: file, text });
    }
    return repo;
  }

  async addCollaborator(repo: string, login: string, permission: E2ePermission): Promise<void> {
    await this.#want(204, this.admin, "PUT", `/repos/${repo}/collaborators/${login}`, { permission });
  }

  async createHook(repo: string, url: string, secret: string): Promise<void> {
    const config = { url, secret, content_type: "json" };
    const events = ["issues", "pull_request", "push", "create", "delete"];
    await this.#want(201, this.admin, "POST", `/repos/${repo}/hooks`, {
      type: "gitea",
      active: true,
      events,
      config,
    });
  }

  async archiveRepository(repo: string): Promise<void> {
    await this.#want(200, this.admin, "PATCH", `/repos/${repo}`, { archived: true });
  }

  async protectBranch(repo: string, pattern: string): Promise<void> {
    const rule = { rule_name: pattern, branch_name: pattern, enable_push: false };
    await this.#want(201, this.admin, "POST", `/repos/${repo}/branch_protections`, rule);
  }

  async openIssue(as: E2eUser, repo: string, issue: { title: string; body: string }): Promise<number> {
    return Number((await this.#want(201, as, "POST", `/repos/${repo}/issues`, issue)).number);
  }

  async openIssueByForm(
    as: E2eUser,
    repo: string,
    form: { path: string; title: string; fields: Readonly<Record<string, string>> },
  ): Promise<number> {
    const browser = new Browser(this.url);
    await browser.login(as);
    const fields = Object.entries(form.fields).map(([id, text]) => [
      `form-field-${id}`,
      text.replace(/\r?\n/g, "\r\n"),
    ]);
    const answer = await browser.submit(`/${repo}/issues/new`, {
      title: form.title,
      "template-file": form.path,
      ...Object.fromEntries(fields),
    });
    const number = /issues\/(\d+)/.exec(answer.headers.get("location") ?? answer.text)?.[1];
    if (number === undefined)
      throw new Error(`filling the form answered ${answer.status}: ${answer.text.slice(0, 200)}`);
    return Number(number);
  }

  async deleteIssue(repo: string, number: number): Promise<void> {
    await this.#want(204, this.admin, "DELETE", `/repos/${repo}/issues/${number}`);
  }

  async closeIssue(as: E2eUser, repo: string, number: number): Promise<void> {
    await this.#want(201, as, "PATCH", `/repos/${repo}/issues/${number}`, { state: "closed" });
  }

  async comment(
    as: E2eUser,
    repo: string,
    comment: { number: number; body: string },
  ): Promise<{ id: number }> {
    const issue = await this.#want(200, this.admin, "GET", `/repos/${repo}/issues/${comment.number}`);
    if (issue.pull_request !== null) return this.commentInBrowser(as, repo, comment);
    const path = `/repos/${repo}/issues/${comment.number}/comments`;
    return { id: Number((await this.#want(201, as, "POST", path, { body: comment.body })).id) };
  }

  async commentInBrowser(
    as: E2eUser,
    repo: string,
    comment: { number: number; body: string },
  ): Promise<{ id: number }> {
    const browser = new Browser(this.url);
    await browser.login(as);
    const answer = await browser.submit(`/${repo}/issues/${comment.number}/comments`, {
      content: comment.body.replace(/\r?\n/g, "\r\n"),
    });
    const id = /#issuecomment-(\d+)/.exec(answer.text)?.[1];
    if (id === undefined)
      throw new Error(`commenting in the browser answered ${answer.status}: ${answer.text.slice(0, 200)}`);
    return { id: Number(id) };
  }

  async editComment(as: E2eUser, repo: string, comment: { id: number; body: string }): Promise<void> {
    await this.#want(200, as, "PATCH", `/repos/${repo}/issues/comments/${comment.id}`, {
      body: comment.body,
    });
  }

  async deleteComment(as: E2eUser, repo: string, id: number): Promise<void> {
    await this.#want(204, as, "DELETE", `/repos/${repo}/issues/comments/${id}`);
  }

  async comments(repo: string, number: number): Promise<E2eComment[]> {
    const list = await this.#list(`/repos/${repo}/issues/${number}/comments`);
    return list.map((one) => ({
      ...{ id: Number(one.id), author: loginOf(one.user), body: String(one.body) },
      isTouched: one.updated_at !== one.created_at,
    }));
  }

  async reactions(repo: string, commentId: number): Promise<E2eReaction[]> {
    const list = await this.#list(`/repos/${repo}/issues/comments/${commentId}/reactions`);
    return list.map((one) => ({ content: String(one.content), user: loginOf(one.user) }));
  }

  async openPullRequest(
    as: E2eUser,
    repo: string,
    wanted: { head: string; base: string; title: string; body: string },
  ): Promise<number> {
    return Number((await this.#want(201, as, "POST", `/repos/${repo}/pulls`, wanted)).number);
  }

  async pullRequests(repo: string): Promise<E2ePullRequest[]> {
    return (await this.#list(`/repos/${repo}/pulls?state=all&limit=50`)).map(pullRequestOf);
  }

  async pullRequest(repo: string, number: number): Promise<E2ePullRequest> {
    return pullRequestOf(await this.#want(200, this.admin, "GET", `/repos/${repo}/pulls/${number}`));
  }

  async diff(repo: string, number: number): Promise<string> {
    const answer = await this.api(this.admin, "GET", `/repos/${repo}/pulls/${number}.diff`);
    if (answer.status !== 200) throw unexpected("GET", `the diff of ${repo}#${number}`, answer);
    return answer.text;
  }

  async review(
    as: E2eUser,
    repo: string,
    review: { number: number; event: ReviewEvent; body: string },
  ): Promise<void> {
    const { event, body } = review;
    await this.#want(200, as, "POST", `/repos/${repo}/pulls/${review.number}/reviews`, { event, body });
  }

  /**
   * Real servers find out in the background whether a pull request merges: asked too early they answer 405.
   */
  async mergePullRequest(as: E2eUser, repo: string, number: number): Promise<void> {
    const path = `/repos/${repo}/pulls/${number}/merge`;
    for (
      const deadline = Date.now() + SETTLE_MS;
      ;
      await new Promise((resolve) => setTimeout(resolve, 100))
    ) {
      const answer = await this.api(as, "POST", path, { Do: "merge" });
      if (answer.status === 200) return;
      if (answer.status !== 405 || Date.now() > deadline) throw unexpected("POST", path, answer);
    }
  }

  async branch(repo: string, name: string): Promise<string | null> {
    const path = `/repos/${repo}/branches/${encodeURIComponent(name)}`;
    const answer = await this.api(this.admin, "GET", path);
    // Gitea lists a branch for a moment after git has none.
    const isGone = answer.status === 500 && answer.text.includes("object does not exist");
    if (answer.status === 404 || isGone) return null;
    if (answer.status !== 200) throw unexpected("GET", path, answer);
    return String(asBody(asBody(answer.json).commit).id);
  }

  async commitFile(
    as: E2eUser,
    repo: string,
    file: { branch: string; path: string; text: string },
  ): Promise<void> {
    const isNew = (await this.branch(repo, file.branch)) === null;
    const path = `/repos/${repo}/contents/${file.path.split("/").map(encodeURIComponent).join("/")}`;
    const ref = encodeURIComponent(isNew ? "main" : file.branch);
    const old = await this.api(this.admin, "GET", `${path}?ref=${ref}`);
    const body: Body = {
      content: Buffer.from(file.text).toString("base64"),
      message: `${file.path}: change`,
      ...(isNew ? { branch: "main", new_branch: file.branch } : { branch: file.branch }),
    };
    if (old.status === 200 && !Array.isArray(old.json)) {
      await this.#want(200, as, "PUT", path, { ...body, sha: asBody(old.json).sha });
    } else {
      await this.#want(201, as, "POST", path, body);
    }
  }

  async #list(path: string): Promise<Body[]> {
    const answer = await this.api(this.admin, "GET", path);
    if (answer.status !== 200) throw unexpected("GET", path, answer);
    return Array.isArray(answer.json) ? answer.json.map(asBody) : [];
  }

  async #want(
    status: number,
    as: E2eUser,
    ...request: [method: string, path: string, body?: unknown]
  ): Promise<Body> {
    const answer = await this.api(as, ...request);
    if (answer.status !== status) throw unexpected(request[0], request[1], answer);
    return asBody(answer.json);
  }
}

/** A token with every scope, got with the password as a person would in the settings. */
export async function createToken(
  url: string,
  login: string,
  password: string,
  token: { readonly name: string; readonly scopes: readonly string[] } = { name: "e2e", scopes: ["all"] },
): Promise<string> {
  const basic = Buffer.from(`${login}:${password}`).toString("base64");
  const answer = await send(`${url}/api/v1/users/${login}/tokens`, {
    method: "POST",
    headers: { Authorization: `Basic ${basic}`, "Content-Type": "application/json" },
    body: JSON.stringify(token),
  });
  if (answer.status !== 201) throw unexpected("POST", `a token for ${login}`, answer);
  return String(asBody(answer.json).sha1);
}

function unexpected(method: string, path: string, answer: RawAnswer): Error {
  return new Error(`${method} ${path} answered ${answer.status}: ${answer.text.slice(0, 300)}`);
}

function asBody(value: unknown): Body {
  return typeof value === "object" && value !== null ? (value as Body) : {};
}

function loginOf(user: unknown): string {
  return String(asBody(user).login);
}

function pullRequestOf(shown: Body): E2ePullRequest {
  const side = (value: unknown) => ({ ref: String(asBody(value).ref), sha: String(asBody(value).sha) });
  const asked = Array.isArray(shown.requested_reviewers) ? shown.requested_reviewers : [];
  return {
    number: Number(shown.number),
    title: String(shown.title),
    body: String(shown.body),
    author: loginOf(shown.user),
    isOpen: shown.state === "open",
    isMerged: shown.merged === true,
    isDraft: shown.draft === true,
    head: side(shown.head),
    base: side(shown.base),
    requestedReviewers: asked.map(loginOf),
  };
}
