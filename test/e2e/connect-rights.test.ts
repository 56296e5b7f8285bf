import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { until } from "../fakes/until.ts";
import { Browser } from "./browser.ts";
import { createToken } from "./http-server.ts";
import { giveOwnUids } from "./own-uids.ts";
import { runIn as lazarus, makeHome } from "./run-in.ts";
import { type E2eServer, type E2eUser, serverFromEnvironment } from "./servers.ts";
import { freePort } from "./stage.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");
const READS = ["read:repository", "read:user", "read:organization"];

let server: E2eServer;
let home: string;

beforeAll(async () => {
  server = await serverFromEnvironment();
  home = await makeHome("connect-rights");
});
afterAll(async () => {
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

interface Place {
  readonly dir: string;
  readonly port: number;
  readonly repo: string;
  /** `setup` with what a first run is told, and more. */
  first(...more: string[]): ReturnType<typeof lazarus>;
  /** `setup` once there is a file. */
  again(...more: string[]): ReturnType<typeof lazarus>;
}

/** A directory with tokens in files, and a repository of its own. */
async function place(name: string, tokens: Readonly<Record<string, string>>): Promise<Place> {
  const repo = await server.createRepository({ owner: "acme", name });
  const dir = join(home, name);
  await mkdir(dir);
  for (const [file, token] of Object.entries(tokens))
    await writeFile(join(dir, file), `${token}\n`, { mode: 0o600 });
  const port = await freePort();
  const usual = ["setup", "--yes", "--no-login", "--form", "none"];
  const told = ["--forge", server.url, "--repository", repo, "--url", `http://127.0.0.1:${port}`];
  return {
    ...{ dir, port, repo },
    first: (...more) => lazarus(dir, [...usual, ...told, ...more]),
    again: (...more) => lazarus(dir, [...usual, ...more]),
  };
}

const hooksOf = async (repo: string) =>
  (await server.api(server.admin, "GET", `/repos/${repo}/hooks`)).json as { id: number }[];
const permissionOf = async (repo: string, login: string) =>
  (
    (await server.api(server.admin, "GET", `/repos/${repo}/collaborators/${login}/permission`)).json as {
      permission: string;
    }
  ).permission;
const secret = async (dir: string, name: string) =>
  (await readFile(join(dir, "secrets", name), "utf8")).trim();
const configOf = async (dir: string) =>
  parse(await readFile(join(dir, "lazarus.yaml"), "utf8")) as { forge: Record<string, unknown> };
const as = (token: string): E2eUser => ({ id: 0, login: "", password: "", token });
/** What the doctor says of one thing. */
async function doctorOf(dir: string, about: string): Promise<[level: string, detail: string][]> {
  const { out } = await lazarus(dir, ["doctor", "--json"]);
  const { findings } = JSON.parse(out) as { findings: { level: string; what: string; detail: string }[] };
  return findings.filter(({ what }) => what === about).map(({ level, detail }) => [level, detail]);
}
/** The stand-in has no pages of settings. */
async function mustBeThere(page: string): Promise<void> {
  if (server.name === "stand-in") return;
  const browser = new Browser(server.url);
  await browser.login(server.admin);
  const { status, text } = await browser.get(page.slice(server.url.length));
  expect([page, status]).toEqual([page, 200]);
  expect(text).toContain("payload_url");
}
/** A token of an account that may only read. */
const reading = (user: E2eUser, name = "reads") =>
  createToken(server.url, user.login, user.password, { name, scopes: READS });

describe("lazarus setup with the token of the forge's administrator", () => {
  let at: Place;
  const admin = ["--admin-token-file", "admin"];

  it("makes a bot that may only write, and a second account that administers and may only read", async () => {
    const { login, password } = server.admin;
    const named = { name: "setup", scopes: ["write:admin", "write:repository", "read:user"] };
    at = await place("safe", { admin: await createToken(server.url, login, password, named) });
    const { code, out, err } = await at.first(...admin, "--bot", "digger");
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toContain(
      "+ made        account digger-rights: asked who may do what; its token may only read",
    );
    expect(out).toContain(`+ made        digger-rights on ${at.repo}: Administrator`);
    expect(out).toContain(`+ made        digger on ${at.repo}: Write`);
    expect(out).toContain(`+ made        hook on ${at.repo}`);
    expect(out).toContain("it came back after");
    expect(out).not.toContain("Next: later");
    expect(await permissionOf(at.repo, "digger")).toBe("write");
    expect(await permissionOf(at.repo, "digger-rights")).toBe("admin");
    expect((await configOf(at.dir)).forge).toMatchObject({
      token_file: "./secrets/forge-token",
      rights_token_file: "./secrets/rights-token",
    });
    expect(((await stat(join(at.dir, "secrets/rights-token"))).mode & 0o777).toString(8)).toBe("600");
    const token = await secret(at.dir, "rights-token");
    expect(out).not.toContain(token);
    const issue = await server.api(as(token), "POST", `/repos/${at.repo}/issues`, { title: "x" });
    expect([issue.status, issue.text]).toEqual([403, expect.stringContaining("required scope")]);
    const bot = as(await secret(at.dir, "forge-token"));
    expect((await server.api(bot, "GET", `/repos/${at.repo}/hooks`)).status).toBe(403);
  });

  it("leaves all of it as it is when it is run again, without that token too", async () => {
    const { code, out } = await at.again();
    expect(code).toBe(0);
    expect(out).not.toMatch(/^[+~!]/m);
    expect(out).toContain(`✓ there       hook on ${at.repo}`);
    expect(out).toContain(`✓ there       digger-rights on ${at.repo}: Administrator`);
    expect(out).toContain(`no test delivery of ${at.repo}: only an administrator asks for one`);
    expect(out).not.toContain("Next: later");
    const dry = await at.again(...admin, "--dry-run");
    expect(dry.out).not.toMatch(/^[+~!]/m);
    const lent = await at.again(...admin);
    expect(lent.out).not.toMatch(/^[+~!]/m);
    expect(lent.out).toContain("it came back after");
    expect(await hooksOf(at.repo)).toHaveLength(1);
  });

  it("says where a person mends a hook, and mends it where it is lent that token", async () => {
    const [hook] = await hooksOf(at.repo);
    const off = { active: false, events: ["push"] };
    await server.api(server.admin, "PATCH", `/repos/${at.repo}/hooks/${hook?.id}`, off);
    const page = `${server.url}/${at.repo}/settings/hooks/${hook?.id}`;
    const told = await at.again();
    expect(told.out).toMatch(
      /^! yours to do hook on .*: it was switched off; events issues.*: .*--admin-token-file FILE/m,
    );
    expect(told.out).toContain(page);
    await mustBeThere(page);
    expect(await doctorOf(at.dir, `hook events of ${at.repo}`)).toEqual([
      ["warn", expect.stringContaining("lazarus setup --admin-token-file FILE mends that")],
    ]);
    expect((await at.again(...admin)).out).toMatch(/^~ changed +hook on .*it was switched off/m);
    await server.api(server.admin, "DELETE", `/repos/${at.repo}/hooks/${hook?.id}`);
    expect((await at.again()).out).toMatch(/^! yours to do hook on .*: only an administrator makes it: /m);
    expect((await at.again(...admin)).out).toContain("it came back after");
  });

  it("adds a repository that the bot does not see yet", async () => {
    const hidden = await server.createRepository({ owner: "acme", name: "safe-hidden", private: true });
    const { code, out } = await at.again(...admin, "--repository", hidden);
    expect(code).toBe(0);
    expect(out).toContain(`+ made        digger-rights on ${hidden}: Administrator`);
    expect(await permissionOf(hidden, "digger")).toBe("write");
    expect((await at.again()).out).not.toMatch(/^[+~!]/m);
  });

  it("a demo agent works there, and the doctor finds nothing to mend on the forge", async () => {
    const putBack = giveOwnUids(join(at.dir, "lazarus.yaml"));
    const child = spawn(process.execPath, [BIN, "serve"], {
      cwd: at.dir,
      env: { PATH: "/usr/bin:/bin", HOME: at.dir },
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      await until("it listens", () => out.includes("listening"));
      await until("it is ready", async () => (await fetch(`http://127.0.0.1:${at.port}/readyz`)).ok);
      const number = await server.openIssue(server.admin, at.repo, { title: "x", body: "" });
      await server.comment(server.admin, at.repo, { number, body: "/lazarus summon demo" });
      await until("its draft is there", async () => (await server.pullRequests(at.repo)).length === 1);
      const again = await at.again();
      expect(again.out).toMatch(new RegExp(`^✓ delivery +${at.repo}: hook: .*the last one came`, "m"));
      expect((await at.again(...admin)).out).toMatch(/^✓ delivery .*a test delivery came/m);
      const { out: said } = await lazarus(at.dir, ["doctor", "--json"]);
      const { findings } = JSON.parse(said) as { findings: { level: string; what: string }[] };
      const ofForge = findings.filter(({ what }) => /^(acme|forge|token|account|hook|label)/.test(what));
      expect(ofForge.filter((one) => one.level !== "ok" && !one.what.includes("hidden"))).toEqual([]);
      expect(ofForge.map((one) => one.what)).toEqual(
        expect.arrayContaining([`${at.repo}: hook`, "forge.rights_token"]),
      );
    } finally {
      child.kill("SIGTERM");
      await once(child, "close");
      putBack();
    }
  });

  it("--undo says what takes that token, and removes it with it; accounts stay", async () => {
    const alone = await lazarus(at.dir, ["setup", "--undo", "--yes"]);
    expect(alone.out).toMatch(/^! yours to do hook .*: .*--admin-token-file FILE.*\/settings\/hooks\/\d+/m);
    expect(alone.code).toBe(1);
    const [hook] = await hooksOf("acme/safe-hidden");
    await server.api(server.admin, "DELETE", `/repos/acme/safe-hidden/hooks/${hook?.id}`);
    const { code, out } = await lazarus(at.dir, ["setup", "--undo", "--yes", ...admin]);
    expect(out).toMatch(/^✓ stays +account digger-rights: accounts are never removed/m);
    expect(out).toMatch(/ removed, 2 kept$/m);
    expect(code).toBe(0);
    expect(await hooksOf(at.repo)).toEqual([]);
    await expect(stat(join(at.dir, "secrets"))).rejects.toThrow("ENOENT");
    expect((await stat(join(at.dir, "admin"))).isFile()).toBe(true);
  });
});

describe("lazarus setup with tokens of both accounts", () => {
  let bot: E2eUser;
  let warden: E2eUser;
  const words = ["--token-file", "token", "--rights-token-file", "rights"];
  /** Both tokens in files, and both accounts let in. */
  async function both(name: string, permission: "write" | "admin", more: Record<string, string> = {}) {
    const at = await place(name, { token: bot.token, rights: await reading(warden, name), ...more });
    await server.addCollaborator(at.repo, bot.login, permission);
    await server.addCollaborator(at.repo, warden.login, "admin");
    return at;
  }
  beforeAll(async () => {
    bot = await server.createUser("lazarus");
    warden = await server.createUser("warden");
  });

  it("writes the second one down, and leaves the hook to whoever administers the repository", async () => {
    const lead = await server.createUser("lead");
    const at = await both("pasted", "write", { lead: lead.token });
    await server.addCollaborator(at.repo, lead.login, "admin");
    const { code, out, err } = await at.first(...words);
    expect(err).toBe("");
    expect(code).toBe(0);
    expect((await configOf(at.dir)).forge).toMatchObject({ rights_token_file: "./rights" });
    expect(out).toContain(`✓ there       warden on ${at.repo}: Administrator`);
    const pages = [...out.matchAll(/ at (http\S+) /g)].map(([, page = ""]) => page);
    expect(pages).toEqual([`${server.url}/${at.repo}/settings/hooks/gitea/new`]);
    await mustBeThere(pages[0] ?? "");
    expect(await hooksOf(at.repo)).toEqual([]);
    // Of no administrator of the whole forge, but of one of the repository.
    expect((await at.again("--admin-token-file", "lead")).out).toContain("it came back after");
    expect((await at.again()).out).not.toMatch(/^[+~!]/m);
    expect(await doctorOf(at.dir, "forge.rights_token")).toEqual([
      ["ok", "warden is asked who may do what"],
      ["ok", "its token may read, and not write"],
    ]);
  });

  it("says that a bot which administers need not, and where a person changes that", async () => {
    const at = await both("strong", "admin");
    const { out } = await at.first(...words);
    expect(out).toContain(
      `! yours to do lazarus on ${at.repo}: it administers it and need not: give it Write at`,
    );
    expect(out).toContain("it came back after");
  });

  it.each([
    [
      "of the bot's own account",
      async () => reading(bot, "own"),
      "the bot's own: give one of a second account",
    ],
    ["that may write", async () => warden.token, "may write, and must not: make one with read:repository"],
    [
      "that may not read enough",
      async () =>
        createToken(server.url, warden.login, warden.password, { name: "little", scopes: ["read:user"] }),
      "lacks read:organization and read:repository",
    ],
  ])("refuses a rights token %s, and makes nothing", async (what, token, said) => {
    const name = `wrong-${what.replaceAll(/\W/g, "-")}`;
    const at = await both(name, "write", { wrong: await token() });
    const { code, err } = await at.first("--token-file", "token", "--rights-token-file", "wrong");
    expect(err).toContain(said);
    expect(code).toBe(2);
    await expect(stat(join(at.dir, "lazarus.yaml"))).rejects.toThrow("ENOENT");
  });

  it("refuses another one than the file names", async () => {
    const at = await both("other", "write");
    expect((await at.first(...words)).code).toBe(0);
    await writeFile(join(at.dir, "rights-2"), `${await reading(warden, "second")}\n`);
    const { code, err } = await at.again("--rights-token-file", "rights-2");
    expect([code, err]).toEqual([
      2,
      expect.stringContaining("names another forge.rights_token: change it there"),
    ]);
  });

  it("leads a bot that administers alone to the safe shape, where an administrator's token is lent", async () => {
    const at = await place("older", { token: bot.token, admin: server.admin.token });
    await server.addCollaborator(at.repo, bot.login, "admin");
    const before = await at.first("--token-file", "token");
    expect(before.out).toMatch(/^Next: later, lazarus setup --admin-token-file FILE: /m);
    expect(before.out).not.toMatch(/^. (there|make|made|change|changed|yours to do) +lazarus on /m);
    const { code, out } = await at.again("--admin-token-file", "admin");
    expect(code).toBe(0);
    expect(out).toMatch(/^~ changed +file .*lazarus\.yaml: forge\.rights_token_file$/m);
    expect(out).toContain(`~ changed     lazarus on ${at.repo}: Write, which is enough`);
    expect(await permissionOf(at.repo, "lazarus")).toBe("write");
    expect(await permissionOf(at.repo, "lazarus-rights")).toBe("admin");
    expect((await at.again()).out).not.toMatch(/^[+~!]|^Next: later/m);
    // Another Lazarus of the same bot does not take over an account that it did not make.
    const second = await place("older-2", { token: bot.token, admin: server.admin.token });
    const taken = await second.first("--token-file", "token", "--admin-token-file", "admin");
    expect([taken.code, taken.err]).toEqual([
      2,
      expect.stringContaining("the account lazarus-rights is there already: give its token"),
    ]);
  });

  it("takes over the account that a killed run made, and lost the token of", async () => {
    const at = await place("lost", { admin: server.admin.token });
    const words = ["--admin-token-file", "admin", "--bot", "loser"];
    expect((await at.first(...words)).code).toBe(0);
    const before = await secret(at.dir, "rights-token");
    await rm(join(at.dir, "secrets/rights-token"));
    await rm(join(at.dir, "lazarus.yaml"));
    const { code, out } = await at.first(...words);
    expect(code).toBe(0);
    expect(out).toContain("+ made        account loser-rights");
    const token = await secret(at.dir, "rights-token");
    expect((await server.api(as(token), "GET", "/user")).json).toMatchObject({ login: "loser-rights" });
    expect((await server.api(as(before), "GET", "/user")).status).toBe(401);
  });

  it("takes over no account of somebody else, though an earlier run was refused the making of it", async () => {
    const own = await server.createUser("grabbed");
    const { login, password } = server.admin;
    const little = { name: "little", scopes: ["write:repository", "read:user"] };
    const tokens = { token: own.token, little: await createToken(server.url, login, password, little) };
    const at = await place("grabbed", { ...tokens, admin: server.admin.token });
    const refused = await at.first("--token-file", "token", "--admin-token-file", "little");
    expect([refused.code, refused.err]).toEqual([5, expect.stringContaining("required scope")]);
    const stranger = await server.createUser("grabbed-rights");
    const { code, err } = await at.first("--token-file", "token", "--admin-token-file", "admin");
    expect([code, err]).toEqual([2, expect.stringContaining("the account grabbed-rights is there already")]);
    expect(await permissionOf(at.repo, "grabbed-rights")).not.toBe("admin");
    // Its owner still has it.
    expect(await createToken(server.url, stranger.login, stranger.password, little)).not.toBe("");
  });

  it.each([
    ["by a mark without an e-mail", "first@example.org", {}],
    ["by a mark with another e-mail", "second@example.org", { email: "marked.0123456789@localhost.invalid" }],
    [
      "by its own e-mail, where it is another account",
      "third@example.org",
      { id: 1_000_000, email: "third@example.org" },
    ],
  ])("takes nobody's account for its own %s", async (what, email, mark) => {
    const name = `marked-${what.length}`;
    const own = await server.createUser(name);
    const at = await place(name, { token: own.token, admin: server.admin.token });
    await mkdir(join(at.dir, "data"));
    const made = [{ kind: "account", name: `${name}-rights`, id: null, ...mark }];
    await writeFile(join(at.dir, "data/setup.json"), JSON.stringify({ version: 1, made }));
    const there = { username: `${name}-rights`, email, password: "pass-of-stranger" };
    const sent = { ...there, must_change_password: false };
    expect((await server.api(server.admin, "POST", "/admin/users", sent)).status).toBe(201);
    const { code, err } = await at.first("--token-file", "token", "--admin-token-file", "admin");
    expect([code, err]).toEqual([2, expect.stringContaining(`the account ${name}-rights is there already`)]);
    const reads = { name: "still", scopes: READS };
    expect(await createToken(server.url, there.username, there.password, reads)).not.toBe("");
  });

  it("makes neither account where one of both is there", async () => {
    const at = await place("half", { admin: server.admin.token });
    await server.createUser("half-rights");
    const { code, err } = await at.first("--admin-token-file", "admin", "--bot", "half");
    expect([code, err]).toEqual([2, expect.stringContaining("the account half-rights is there already")]);
    expect((await server.api(server.admin, "GET", "/users/half")).status).toBe(404);
  });
});
