import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { setUp } from "../../src/setup/setup.ts";
import type { Terminal } from "../../src/setup/terminal.ts";
import { undo } from "../../src/setup/undo.ts";
import { createToken } from "../e2e/http-server.ts";
import { type E2eServer, type E2eUser, startStandInServer } from "../e2e/servers.ts";
import { freePort } from "../e2e/stage.ts";

let server: E2eServer;
let bot: E2eUser;
let warden: E2eUser;
let rights: string;
let home: string;

beforeAll(async () => {
  server = await startStandInServer();
  bot = await server.createUser("lazarus");
  warden = await server.createUser("warden");
  const scopes = ["read:repository", "read:user", "read:organization"];
  rights = await createToken(server.url, "warden", warden.password, { name: "rights", scopes });
  home = mkdtempSync(join(tmpdir(), "lazarus rights-"));
});
afterAll(async () => {
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Somebody who types these answers one after the other. */
function person(...answers: readonly string[]) {
  const left = [...answers];
  const asked: string[] = [];
  const said: string[] = [];
  const terminal: Terminal = {
    isInteractive: true,
    say: (line) => void said.push(line),
    async ask(question) {
      asked.push(question);
      const answer = left.shift();
      if (answer === undefined) throw new Error(`nobody expected to be asked: ${question}`);
      return answer;
    },
  };
  return { terminal, asked, said, left };
}

/** A repository, and a directory with the bot's token. */
async function place(name: string, permission: "write" | "admin") {
  const repo = await server.createRepository({ owner: "acme", name });
  await server.addCollaborator(repo, bot.login, permission);
  await server.addCollaborator(repo, warden.login, "admin");
  const cwd = join(home, name);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "token"), bot.token, { mode: 0o600 });
  const answers = {
    ...{ forge: server.url, token_file: "token", repositories: [repo], agents: ["demo"] },
    ...{ url: `http://127.0.0.1:${await freePort()}`, form: "none" as const, login: false, issue: false },
  };
  const common = { cwd, env: {}, file: join(cwd, "lazarus.yaml"), isDryRun: false };
  const run = (who: ReturnType<typeof person>, isDryRun = false) =>
    setUp({
      ...{ ...common, answers, isDryRun, terminal: who.terminal, isYes: true, replacesHooks: false },
    });
  const takeBack = (who: ReturnType<typeof person>) =>
    undo({ ...common, answers: {}, terminal: who.terminal, isYes: false });
  return { repo, run, takeBack };
}

const SIXTH = "  its token (empty: none, and the bot is to be Administrator): ";
const lent = (count: number) =>
  expect.stringMatching(new RegExp(`^An administrator's token does ${count} of`));

describe("a person at a terminal whose bot may only write", () => {
  it("is asked for a second account until it can be used, and may lend an administrator's token", async () => {
    const { repo, run, takeBack } = await place("asked", "write");
    const who = person("no token", bot.token, rights, server.admin.token);
    const { round_trips } = await run(who);
    expect(who.asked).toEqual([SIXTH, SIXTH, SIXTH, lent(1)]);
    expect(who.said).toEqual(
      expect.arrayContaining([
        "6 lazarus may only write. Which account is asked who may do what?",
        "  that is no token: paste it on one line",
        "  the rights token is lazarus's, the bot's own: give one of a second account",
      ]),
    );
    expect(round_trips).toEqual([{ repository: repo, result: "came" }]);
    expect(who.said.filter((line) => line.includes(rights))).toEqual([]);
    // All is known the second time, and nothing is left to an administrator.
    const again = person();
    expect((await run(again)).round_trips).toEqual([{ repository: repo, result: "not-tried" }]);
    const away = person(server.admin.token, ..."yyyyyy");
    expect(await takeBack(away)).toMatchObject({ kept: [], isDone: true });
    expect(away.asked[0]).toBe("An administrator's token, to remove hooks with (empty: leave them): ");
  });

  it("has a hook that was removed by hand taken for removed, without an administrator's token", async () => {
    const { repo, run, takeBack } = await place("by-hand", "write");
    await run(person(rights, server.admin.token));
    const hooks = await server.api(server.admin, "GET", `/repos/${repo}/hooks`);
    for (const { id } of hooks.json as { id: number }[])
      await server.api(server.admin, "DELETE", `/repos/${repo}/hooks/${id}`);
    expect(await takeBack(person("", ..."yyyyyy"))).toMatchObject({ kept: [], isDone: true });
  });

  it("may leave both, and is told what the bot is to be, and what that means", async () => {
    const { repo, run } = await place("alone", "write");
    const { next, steps } = await run(person("", ""));
    expect(steps).toContainEqual({
      ...{ what: `hook on ${repo}`, state: "yours" },
      detail: expect.stringMatching(
        /^the bot does not administer it: .*--rights-token-file FILE.*or make the bot/,
      ),
    });
    expect(next.at(-1)).toMatch(/^later, .*whoever gets the bot's token can change hooks/);
  });

  it("has no second account to think of where an administrator of the forge lends a token", async () => {
    const { repo, run } = await place("lent", "write");
    const who = person("", server.admin.token);
    const { steps, round_trips } = await run(who);
    expect(steps.map(({ what, state }) => [what, state])).toEqual(
      expect.arrayContaining([
        ["account lazarus-rights", "make"],
        [`lazarus-rights on ${repo}`, "make"],
        [`lazarus on ${repo}`, "there"],
      ]),
    );
    expect(round_trips).toEqual([{ repository: repo, result: "came" }]);
  });

  it("has the bot made an Administrator by whoever administers one repository and names no second account", async () => {
    const { repo, run } = await place("owner", "write");
    const lead = await server.createUser("lead");
    await server.addCollaborator(repo, "lead", "admin");
    const who = person("", lead.token);
    const { steps, next, round_trips } = await run(who);
    expect(who.asked).toHaveLength(2);
    expect(steps).toContainEqual({ what: `lazarus on ${repo}`, state: "change", detail: "Administrator" });
    expect(round_trips).toEqual([{ repository: repo, result: "came" }]);
    expect(next.at(-1)).toMatch(/^later, /);
    const again = person();
    expect((await run(again)).steps.every(({ state }) => state === "there")).toBe(true);
  });

  it("is asked for no administrator's token by a dry run", async () => {
    const { run } = await place("dry", "write");
    const who = person(rights);
    await run(who, true);
    expect(who.asked).toEqual([SIXTH]);
  });
});

describe("a person who lends an administrator's token beforehand", () => {
  const kindsOf = async (login: string, ...repos: string[]) => {
    const seen = repos.map((repo) =>
      server.api(server.admin, "GET", `/repos/${repo}/collaborators/${login}/permission`),
    );
    return (await Promise.all(seen)).map(({ json }) => (json as { permission: string }).permission);
  };
  /** Two repositories of an owner, which the bot has nothing to do with; one is hidden from it. */
  async function mine(owner: string, more: Readonly<Record<string, unknown>>) {
    const open = await server.createRepository({ owner, name: "open" });
    const hidden = await server.createRepository({ owner, name: "hidden", private: true });
    const cwd = join(home, owner);
    mkdirSync(cwd);
    const named = { name: owner, scopes: ["write:admin", "write:repository", "read:user"] };
    const lentToken = await createToken(server.url, server.admin.login, server.admin.password, named);
    const answers = {
      ...{ forge: server.url, admin_token: lentToken, repositories: [`${owner}/*`] },
      ...{ agents: ["demo"], url: `http://127.0.0.1:${await freePort()}`, form: "commit" as const },
      ...{ login: false, issue: true, ...more },
    };
    const common = { cwd, env: {}, file: join(cwd, "lazarus.yaml"), isDryRun: false };
    const run = (terminal: Terminal, isYes = false) =>
      setUp({ ...common, answers, terminal, isYes, replacesHooks: false });
    return { open, hidden, run };
  }

  it("gives nobody any rights before the answer to the plan, which names them all", async () => {
    const own = await server.createUser("patient");
    const { open, hidden, run } = await mine("patience", { token: own.token });
    const who = person("n");
    await expect(run(who.terminal)).rejects.toThrow(/^nothing was made$/);
    expect(await kindsOf("patient", open, hidden)).toEqual(["read", "none"]);
    expect(await kindsOf("patient-rights", open, hidden)).toEqual([undefined, undefined]);
    for (const repo of [open, hidden])
      expect(who.said).toEqual(
        expect.arrayContaining([
          `+ make        patient-rights on ${repo}: Administrator`,
          `+ make        patient on ${repo}: Write`,
          `+ make        label lazarus on ${repo}`,
          `+ make        mission form on ${repo}: one commit on main`,
        ]),
      );
    const { round_trips } = await run(person("y").terminal);
    expect(round_trips.map(({ result }) => result)).toEqual(["came", "came"]);
    expect(await kindsOf("patient", open, hidden)).toEqual(["write", "write"]);
    expect(await kindsOf("patient-rights", open, hidden)).toEqual(["admin", "admin"]);
    const again = person();
    expect((await run(again.terminal)).steps.every(({ state }) => state === "there")).toBe(true);
  });

  it("gives no rights to whoever takes the second account's name between the plan and the answer", async () => {
    const own = await server.createUser("raced");
    const { open, hidden, run } = await mine("races", { token: own.token });
    const { terminal } = person();
    const ask = async () => {
      await server.createUser("raced-rights");
      return "y";
    };
    await expect(run({ ...terminal, ask })).rejects.toThrow("the account raced-rights is there already");
    expect(await kindsOf("raced-rights", open, hidden)).toEqual(["read", "none"]);
    const still = { name: "still", scopes: ["read:user"] };
    expect(await createToken(server.url, "raced-rights", "pass-of-raced-rights", still)).not.toBe("");
    await expect(run(terminal, true)).rejects.toThrow("the account raced-rights is there already");
  });

  it("is told that a new bot's account is made ahead of the plan, and nothing else", async () => {
    const { open, hidden, run } = await mine("early", { bot: "early-bird" });
    const piped: Terminal = { ...person().terminal, isInteractive: false };
    await expect(run(piped)).rejects.toThrow(/^nothing was made: the account early-bird .*--yes/);
    expect((await server.api(server.admin, "GET", "/users/early-bird")).status).toBe(404);
    const who = person("n");
    await expect(run(who.terminal)).rejects.toThrow(/^nothing but the account early-bird was made/);
    expect(who.said).toContain(
      "+ made        account early-bird: the bot, ahead of the plan; it may do nothing yet",
    );
    expect(await kindsOf("early-bird", open, hidden)).toEqual(["read", "none"]);
    expect((await server.api(server.admin, "GET", "/users/early-bird-rights")).status).toBe(404);
  });
});

it("a person whose bot administers is asked nothing more, and told nothing but the last line", async () => {
  const { repo, run, takeBack } = await place("today", "admin");
  const { steps, next, round_trips } = await run(person());
  expect(steps.filter(({ what }) => / on /.test(what)).map(({ what }) => what)).toEqual([
    `hook on ${repo}`,
    `label lazarus on ${repo}`,
    `label lazarus/waiting on ${repo}`,
  ]);
  expect(round_trips).toEqual([{ repository: repo, result: "came" }]);
  expect(next.at(-1)).toMatch(/^later, lazarus setup --admin-token-file FILE: /);
  const away = person(..."yyyyy");
  expect(await takeBack(away)).toMatchObject({ kept: [], isDone: true });
  expect(away.left).toEqual([]);
});
