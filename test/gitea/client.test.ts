import http from "node:http";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { createForge, type ForgeOptions, parseRepositoryName } from "../../src/gitea/client.ts";
import { md } from "../../src/gitea/markdown.ts";
import { certificate } from "../fakes/certificate.ts";
import { needs } from "../machine.ts";

const TOKEN = "0123456789abcdef0123456789abcdef01234567";
const APP = { owner: "acme", name: "app" };
const AT = "2026-01-05T09:00:00Z";
const DEV = { id: 3, login: "dev" };

interface Said {
  readonly status?: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Record<string, string>;
  readonly hangs?: boolean;
  readonly resets?: boolean;
}

interface Heard {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Waits for nothing, and keeps how long it would have waited. */
function hastyClock(): Clock & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => 0,
    monotonic: () => 0,
    machine: () => ({ bootId: "boot-1", upMs: 0 }),
    after(ms, fn) {
      waits.push(ms);
      setImmediate(fn);
      return () => {};
    },
  };
}

async function listen(server: http.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A forge that says one thing after the other, and the last for ever. */
async function scripted(
  script: readonly Said[] | ((heard: Heard) => Said),
  options: Partial<ForgeOptions> = {},
) {
  const heard: Heard[] = [];
  const server = http.createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    const one = { method: request.method ?? "", path: request.url ?? "", headers: request.headers, body };
    heard.push(one);
    const said =
      typeof script === "function" ? script(one) : script[Math.min(heard.length, script.length) - 1];
    if (said === undefined || said.hangs) return;
    if (said.resets) return void request.socket.destroy();
    const isText = said.text !== undefined;
    response.writeHead(said.status ?? 200, {
      "content-type": isText ? "text/html" : "application/json",
      ...said.headers,
    });
    response.end(isText ? said.text : said.json === undefined ? undefined : JSON.stringify(said.json));
  });
  const url = `http://127.0.0.1:${await listen(server)}`;
  const clock = hastyClock();
  const forge = createForge({
    url,
    token: TOKEN,
    redact: (text) => text.replaceAll("hunter22", "[redacted]"),
    clock,
    ...options,
  });
  return { forge, heard, clock, url };
}

function comment(id: number, more: object = {}): object {
  return { id, body: `c${id}`, user: DEV, created_at: AT, updated_at: AT, ...more };
}

function issue(number: number, more: object = {}): object {
  const nothing = { pull_request: null, assignees: null, labels: [] };
  return {
    number,
    title: "t",
    body: "b",
    user: DEV,
    state: "open",
    created_at: AT,
    updated_at: AT,
    ...nothing,
    ...more,
  };
}

function pull(number: number, more: object = {}): object {
  const base = { ref: "main", sha: "b".repeat(40), repo_id: 1, repo: { full_name: "acme/app" } };
  const head = { ref: "work", sha: "a".repeat(40), repo_id: 1, repo: { full_name: "acme/app" } };
  return {
    number,
    title: "WIP: t",
    body: "",
    user: DEV,
    state: "open",
    merged: false,
    draft: true,
    html_url: "u",
    base,
    head,
    ...more,
  };
}

describe("what the forge is asked", () => {
  it("sends the token, and no redirect or name changes where to", async () => {
    const { forge, heard } = await scripted([{ json: { name: "x", commit: { id: "c" }, protected: false } }]);
    await forge.branch({ owner: "a#b", name: "c?d" }, "feature/a#b %2f");
    expect(heard[0]?.path).toBe("/api/v1/repos/a%23b/c%3Fd/branches/feature/a%23b%20%252f");
    expect(heard[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
  });

  it.each(["..", ".", "a/../b", "", "a//b"])("never sends %j as a branch", async (branch) => {
    const { forge, heard } = await scripted([{ json: {} }]);
    await expect(forge.branch(APP, branch)).rejects.toMatchObject({ code: "forge-refused" });
    await expect(forge.issue({ owner: "..", name: "app" }, 1)).rejects.toMatchObject({
      code: "forge-refused",
    });
    await expect(forge.issue(APP, 1.5)).rejects.toMatchObject({ code: "forge-refused" });
    expect(heard).toEqual([]);
  });

  it("finds a forge below a path, with and without a slash at its end", async () => {
    const { url, heard } = await scripted([{ json: DEV }]);
    for (const end of ["/git", "/git/"])
      await createForge({ url: url + end, token: TOKEN, redact: String, clock: hastyClock() }).me();
    expect(heard.map((one) => one.path)).toEqual(["/git/api/v1/user", "/git/api/v1/user"]);
  });
});

describe("reads", () => {
  it("are repeated through 5xx, 429, HTML and a cut connection", async () => {
    const { forge, heard } = await scripted([
      { status: 502, text: "<html>" },
      { resets: true },
      { text: "<html>login" },
      { json: issue(3) },
    ]);
    expect(await forge.issue(APP, 3)).toMatchObject({
      number: 3,
      author: DEV,
      isOpen: true,
      createdAt: Date.parse(AT),
    });
    expect(heard).toHaveLength(4);
  });

  it("give up after three repetitions and say what they were doing", async () => {
    const { forge, heard, clock } = await scripted([{ status: 502, text: "<html>" }]);
    await expect(forge.issue(APP, 3)).rejects.toMatchObject({
      code: "forge-unreachable",
      retryable: true,
      message: "reading issue acme/app#3: the forge answered 502 (HTML)",
    });
    expect(heard).toHaveLength(4);
    expect(clock.waits).toHaveLength(3);
    expect(clock.waits[2]).toBeGreaterThan(clock.waits[0] ?? 0);
  });

  it("wait as long as they are told, and are given up where that is over ten seconds", async () => {
    const asked = (after: string): Said => ({ status: 429, json: {}, headers: { "retry-after": after } });
    const { forge, clock } = await scripted([asked("2"), { json: DEV }]);
    await forge.me();
    expect(clock.waits).toEqual([2_000]);
    const other = await scripted([asked("3600"), { json: DEV }]);
    const wanted = { code: "forge-unreachable", retryable: true };
    await expect(other.forge.me()).rejects.toMatchObject(wanted);
    await expect(other.forge.issue(APP, 3)).rejects.toThrow(
      "reading issue acme/app#3: the forge asked to be left alone for 300 s more (429)",
    );
    expect(other.heard).toHaveLength(1);
  });

  it("wait a moment where nobody told how long", async () => {
    const { forge, clock, heard } = await scripted([{ status: 429, json: {} }, { json: DEV }]);
    await forge.me();
    expect(clock.waits).toEqual([1_000]);
    expect(heard).toHaveLength(2);
  });

  it("end when the forge is silent, while it answers too", async () => {
    const { forge } = await scripted([{ hangs: true }], { requestTimeoutMs: 40 });
    await expect(forge.me()).rejects.toThrow(
      "reading the bot's own account: the forge cannot be reached: no answer in time",
    );
    const slow = http.createServer((_, response) =>
      response.writeHead(200, { "content-length": "100" }).write("{"),
    );
    const url = `http://127.0.0.1:${await listen(slow)}`;
    const other = createForge({
      url,
      token: TOKEN,
      redact: String,
      clock: hastyClock(),
      requestTimeoutMs: 40,
    });
    await expect(other.me()).rejects.toThrow("no answer in time");
  });

  it("do not believe an endless answer", async () => {
    const server = http.createServer((_, response) => {
      const part = Buffer.alloc(1024 * 1024, " ");
      const more = () => response.write(part, (error) => error || more());
      more();
    });
    const url = `http://127.0.0.1:${await listen(server)}`;
    const forge = createForge({ url, token: TOKEN, redact: String, clock: hastyClock() });
    await expect(forge.me()).rejects.toMatchObject({
      code: "forge-answer",
      message: expect.stringContaining("larger than"),
    });
  });

  it("answer null for what is missing, also without a body", async () => {
    const { forge } = await scripted([{ status: 404 }]);
    expect(await forge.issue(APP, 3)).toBeNull();
    expect(await forge.repository(APP)).toBeNull();
    expect(await forge.comment(APP, 3)).toBeNull();
    expect(await forge.pullRequest(APP, 3)).toBeNull();
    expect(await forge.branch(APP, "x")).toBeNull();
    expect(await forge.readers(APP)).toBeNull();
    expect(await forge.reviews(APP, 3)).toEqual([]);
    expect(await forge.permission(APP, "x")).toEqual({ kind: "no-such-user" });
  });

  it("answer null for a comment that is no text, 204", async () => {
    const { forge } = await scripted([{ status: 204 }]);
    expect(await forge.comment(APP, 3)).toBeNull();
  });

  it.each([
    [401, true],
    [403, false],
    [422, false],
  ])("do not repeat a %i, and hide secrets and the token in its words", async (status, retryable) => {
    const { forge, heard } = await scripted([{ status, json: { message: `no\nhunter22 ${TOKEN}` } }]);
    const error = await forge.issue(APP, 3).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "forge-refused", retryable });
    expect(String(error)).toContain(
      `reading issue acme/app#3: the forge answered ${status}: no [redacted] [redacted]`,
    );
    expect(heard).toHaveLength(1);
  });

  it("are not understood when the shape is wrong", async () => {
    const { forge } = await scripted([{ json: issue(3, { created_at: "yesterday" }) }]);
    await expect(forge.issue(APP, 3)).rejects.toMatchObject({
      code: "forge-answer",
      message: "reading issue acme/app#3: the forge's answer is not understood: created_at: is no time",
    });
  });

  it("go on to the next page until one is short", async () => {
    const { forge, heard } = await scripted(({ path }) => {
      const page = Number(new URL(path, "http://x").searchParams.get("page"));
      const one = (id: number) => ({ id, body: "", user: DEV, state: "COMMENT", submitted_at: AT });
      return { json: Array.from({ length: page < 3 ? 50 : 7 }, (_, index) => one(page * 100 + index)) };
    });
    expect(await forge.reviews(APP, 3)).toHaveLength(107);
    expect(heard.every((one) => one.path.includes("limit=50"))).toBe(true);
  });

  it("tolerate deleted people and nulls", async () => {
    const { forge } = await scripted([{ json: [comment(9, { user: null, body: null }), comment(2)] }]);
    const ghost = { id: -1, login: "Ghost" };
    expect((await forge.comments(APP, 3)).entries).toMatchObject([
      { id: 2 },
      { id: 9, author: ghost, body: "" },
    ]);
  });

  it("ask for comments since a whole second, once", async () => {
    const { forge, heard } = await scripted([
      { json: Array.from({ length: 50 }, (_, index) => comment(index + 1)) },
    ]);
    await forge.comments(APP, 3, Date.parse(AT) + 900);
    expect(heard.map((one) => decodeURIComponent(one.path))).toEqual([
      "/api/v1/repos/acme/app/issues/3/comments?since=2026-01-05T09:00:00.000Z",
    ]);
  });

  it.each([
    ["from before there was any forge", "Thu, 01 Jan 1970 00:02:00 GMT"],
    ["that no forge can be asked about", "Mon, 05 Jan 12026 09:00:00 GMT"],
  ])("believe no clock %s", async (_, date) => {
    const { forge } = await scripted([
      { json: { version: "1.23.0" }, headers: { date } },
      { json: [], headers: { date } },
    ]);
    await expect(forge.clock()).rejects.toThrow("its clock is wrong");
    await expect(forge.moved({ kind: "everything" }, Date.parse(AT))).rejects.toThrow("its clock is wrong");
  });

  it("tell the forge's clock", async () => {
    const { forge } = await scripted([
      { json: { version: "1.23.0" }, headers: { date: "Mon, 05 Jan 2026 09:00:00 GMT" } },
    ]);
    expect(await forge.clock()).toBe(Date.parse(AT));
    expect(await forge.version()).toBe("1.23.0");
  });
});

describe("a renamed repository", () => {
  const repository = {
    id: 1,
    full_name: "acme/new",
    private: false,
    default_branch: "main",
    permissions: null,
  };
  /** Gitea up to 1.23 and Forgejo answer 307, newer Giteas 301. */
  const STATUSES = [301, 307, 308] as const;
  const moved = (to: string, status = 307): Said => ({ status, text: "<a>", headers: { location: to } });

  it.each(STATUSES)("comes back under its new name (%i)", async (status) => {
    const { forge, heard } = await scripted(({ path }) =>
      path.endsWith("/app") ? moved("/api/v1/repos/acme/new", status) : { json: repository },
    );
    const mine = { admin: false, push: false, pull: false };
    expect(await forge.repository(APP)).toMatchObject({ id: 1, fullName: "acme/new", mine });
    expect(heard).toHaveLength(2);
  });

  it("is not followed to another origin, nor for ever, nor elsewhere", async () => {
    const other = await scripted([{ json: repository }]);
    for (const to of [`${other.url}/api/v1/repos/acme/new`, "/api/v1/repos/acme/app", "/api/v1/user", "/"]) {
      const { forge } = await scripted([moved(to)]);
      await expect(forge.repository(APP)).rejects.toMatchObject({
        code: "forge-refused",
        message: expect.stringContaining("is it renamed?"),
      });
    }
    expect(other.heard).toEqual([]);
  });

  it.each(STATUSES)(
    "is an error for everything else, and written to only under its own name (%i)",
    async (status) => {
      const { forge, heard } = await scripted([moved("/api/v1/repos/acme/new/issues/3", status)]);
      await expect(forge.issue(APP, 3)).rejects.toThrow(
        `reading issue acme/app#3: the forge answered ${status}, it answers under another name; is it renamed?`,
      );
      await expect(forge.postComment(APP, 3, md`x`)).rejects.toMatchObject({
        code: "forge-refused",
        retryable: true,
      });
      expect(heard).toHaveLength(2);
    },
  );
});

describe("writes", () => {
  it.each<Said>([
    { status: 500, json: { message: "" } },
    { status: 502, text: "<html>" },
    { status: 429, json: {} },
    { resets: true },
    { text: "<html>" },
  ])("are never repeated: %j", async (said) => {
    const { forge, heard } = await scripted([said, { status: 201, json: comment(1) }]);
    await expect(forge.postComment(APP, 3, md`x`)).rejects.toMatchObject({
      code: "forge-unreachable",
      retryable: true,
    });
    expect(heard).toHaveLength(1);
  });

  it("post what is left after hiding secrets", async () => {
    const { forge, heard } = await scripted([{ status: 201, json: comment(1) }]);
    await forge.postComment(APP, 3, md`the password is ${"hunter22"}`);
    expect(heard[0]).toMatchObject({ method: "POST", path: "/api/v1/repos/acme/app/issues/3/comments" });
    expect(heard[0]?.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(heard[0]?.body ?? "")).toEqual({ body: "the password is [redacted]" });
  });

  it("say that there is a pull request already", async () => {
    const { forge } = await scripted([{ status: 409, json: { message: "pull request already exists" } }]);
    const draft = { head: "work", base: "main", title: "t", body: md`b` };
    await expect(forge.openPullRequest(APP, draft)).rejects.toMatchObject({
      code: "forge-refused",
      message:
        "opening a pull request from work in acme/app: the forge answered 409: pull request already exists",
    });
  });

  it("are done when there is nothing left to delete", async () => {
    const { forge } = await scripted([{ status: 204 }, { status: 404, json: {} }]);
    await forge.deleteComment(APP, 1);
    await forge.deleteComment(APP, 1);
    await expect(forge.editComment(APP, 1, md`x`)).rejects.toMatchObject({ code: "forge-refused" });
  });

  it("send JSON for a review request too, which gitea-js does not say", async () => {
    const { forge, heard } = await scripted([{ status: 201, json: [] }]);
    await forge.requestReview(APP, 7, "dev");
    expect(heard[0]).toMatchObject({
      path: "/api/v1/repos/acme/app/pulls/7/requested_reviewers",
      body: '{"reviewers":["dev"]}',
    });
    expect(heard[0]?.headers["content-type"]).toBe("application/json");
  });
});

describe("what people did and may do", () => {
  it("takes submitted reviews only, and no dismissed one for official", async () => {
    const review = (id: number, state: string, more: object = {}) => ({
      id,
      body: "",
      user: DEV,
      state,
      official: true,
      submitted_at: AT,
      ...more,
    });
    const states = ["APPROVED", "PENDING", "REQUEST_REVIEW", "REQUEST_CHANGES", "COMMENT", "NEW"];
    const { forge } = await scripted([
      {
        json: [
          review(20, "APPROVED", { dismissed: true }),
          ...states.map((state, index) => review(index, state)),
        ],
      },
    ]);
    expect((await forge.reviews(APP, 7)).map(({ id, state, isOfficial }) => [id, state, isOfficial])).toEqual(
      [
        [0, "approved", true],
        [3, "changes-requested", true],
        [4, "comment", true],
        [5, "other", true],
        [20, "approved", false],
      ],
    );
  });

  it("finds the open pull request of our own branch", async () => {
    const head = { ref: "work", sha: "x", repo_id: 2, repo: null };
    const { forge, heard } = await scripted([
      { json: pull(3) },
      { json: pull(9, { state: "closed" }) },
      { json: [pull(1, { head }), pull(2, { base: { ref: "dev", sha: "x", repo_id: 1 } }), pull(3)] },
      { status: 404 },
      { json: [pull(4, { base: { ref: "a/b", sha: "x", repo_id: 1 } })] },
    ]);
    const found = { number: 3, isDraft: true, head: { repositoryId: 1 } };
    expect(await forge.findPullRequest(APP, "work", "main")).toMatchObject(found);
    expect(heard[0]?.path).toMatch(/\/pulls\/main\/work$/);
    // An old one of the same branches says nothing of the open ones.
    expect(await forge.findPullRequest(APP, "work", "main")).toMatchObject(found);
    expect(heard[2]?.path).toContain("state=open");
    expect(await forge.findPullRequest(APP, "lazarus/4f1c#0b7e", "main")).toBeNull();
    expect(heard[3]?.path).toMatch(/\/pulls\/main\/lazarus\/4f1c%230b7e$/);
    expect(await forge.findPullRequest(APP, "work", "a/b")).toMatchObject({ number: 4 });
  });

  it("knows a head whose repository is gone", async () => {
    const { forge } = await scripted([
      { json: pull(7, { head: { ref: "refs/pull/7/head", sha: "x", repo_id: -1, repo: null } }) },
    ]);
    expect((await forge.pullRequest(APP, 7))?.head).toEqual({
      ref: "refs/pull/7/head",
      commit: "x",
      repositoryId: null,
      fullName: null,
    });
  });

  it("knows rights with the id they belong to, or why it cannot", async () => {
    const { forge } = await scripted([
      { json: { permission: "write", role_name: "write", user: DEV } },
      { status: 403 },
      { json: { permission: "king", user: DEV } },
    ]);
    expect(await forge.permission(APP, "dev")).toEqual({ kind: "known", permission: "write", userId: 3 });
    expect(await forge.permission(APP, "dev")).toMatchObject({
      kind: "unknowable",
      why: expect.stringContaining("the bot needs admin rights on acme/app"),
    });
    await expect(forge.permission(APP, "dev")).rejects.toMatchObject({ code: "forge-answer" });
  });

  it("looks for a team by its name and then for the member", async () => {
    const { forge, heard } = await scripted(({ path }) => {
      if (path.startsWith("/api/v1/orgs/"))
        return {
          json: {
            ok: true,
            data: [
              { id: 8, name: "directors-2" },
              { id: 9, name: "Directors" },
            ],
          },
        };
      return path === "/api/v1/teams/9/members/dev" ? { json: DEV } : { status: 404 };
    });
    expect(await forge.isTeamMember("acme", "directors", "dev")).toBe(true);
    expect(await forge.isTeamMember("acme", "directors", "eve")).toBe(false);
    expect(await forge.isTeamMember("acme", "kings", "dev")).toBe(false);
    expect(heard).toHaveLength(5);
  });

  it("knows who may read and write, where it is told", async () => {
    const { forge } = await scripted([{ json: [DEV] }, { json: null }, { status: 403 }, { status: 403 }]);
    expect(await forge.readers(APP)).toEqual([DEV]);
    expect(await forge.writers(APP)).toEqual([]);
    expect(await forge.readers(APP)).toBeNull();
    expect(await forge.writers(APP)).toEqual([]);
  });
});

describe("ways to the forge", () => {
  it("goes through an HTTP proxy with its login", async () => {
    const seen: (string | undefined)[] = [];
    const proxy = http.createServer((request, response) => {
      seen.push(request.url, request.headers["proxy-authorization"], request.headers.host);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(DEV));
    });
    const port = await listen(proxy);
    const proxyFor = (url: URL) =>
      url.hostname === "forge.invalid" ? `http://me:p%40ss@127.0.0.1:${port}` : null;
    const forge = createForge({
      url: "http://forge.invalid",
      token: TOKEN,
      redact: String,
      clock: hastyClock(),
      proxyFor,
    });
    expect(await forge.me()).toEqual(DEV);
    expect(seen).toEqual([
      "http://forge.invalid/api/v1/user",
      `Basic ${Buffer.from("me:p@ss").toString("base64")}`,
      "forge.invalid",
    ]);
  });

  it("trusts a CA of its own, also through a tunnel, and no other", needs("openssl"), async () => {
    const { key, cert } = certificate();
    const forgePort = await listen(
      https.createServer({ key, cert }, (_, response) =>
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(DEV)),
      ) as unknown as http.Server,
    );
    const tunnels: (string | undefined)[] = [];
    const proxy = http.createServer().on("connect", (request, socket) => {
      tunnels.push(request.url);
      const through = net.connect(forgePort, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        through.pipe(socket).pipe(through);
      });
      through.on("error", () => socket.destroy());
      socket.on("error", () => through.destroy());
    });
    const proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
    const common = { token: TOKEN, redact: String, clock: hastyClock() };
    const direct = { ...common, url: `https://localhost:${forgePort}` };
    await expect(createForge(direct).me()).rejects.toMatchObject({
      code: "forge-unreachable",
      message: expect.stringContaining("SELF_SIGNED"),
    });
    expect(await createForge({ ...direct, ca: cert }).me()).toEqual(DEV);
    const tunnelled = { ...direct, proxyFor: () => proxyUrl };
    expect(await createForge({ ...tunnelled, ca: cert }).me()).toEqual(DEV);
    expect(tunnels).toEqual([`localhost:${forgePort}`]);
    await expect(createForge(tunnelled).postComment(APP, 1, md`x`)).rejects.toMatchObject({
      code: "forge-unreachable",
    });
  });

  it("says when the proxy refuses", async () => {
    const proxy = http
      .createServer()
      .on("connect", (_, socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
    const proxyUrl = `http://127.0.0.1:${await listen(proxy)}`;
    const forge = createForge({
      url: "https://forge.invalid",
      token: TOKEN,
      redact: String,
      clock: hastyClock(),
      proxyFor: () => proxyUrl,
    });
    await expect(forge.me()).rejects.toThrow(/the forge cannot be reached: Proxy response \(407\)/);
  });
});

describe("parseRepositoryName", () => {
  it.each(["", "app", "/app", "acme/", "a/b/c", "../app", "acme/.", "a b/c", "acme/app#1"])(
    "refuses %j",
    (text) => {
      expect(parseRepositoryName(text)).toBeNull();
    },
  );

  it("takes owner and name", () => {
    expect(parseRepositoryName("Acme.io/my_app-2")).toEqual({ owner: "Acme.io", name: "my_app-2" });
  });
});
