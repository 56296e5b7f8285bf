import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { until } from "../fakes/until.ts";
import { giveOwnUids } from "./own-uids.ts";
import { runIn as lazarus, makeHome } from "./run-in.ts";
import { type E2eServer, type E2eUser, serverFromEnvironment } from "./servers.ts";
import { freePort } from "./stage.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");

let server: E2eServer;
let bot: E2eUser;
let port: number;
let home: string;

beforeAll(async () => {
  server = await serverFromEnvironment();
  bot = await server.createUser("lazarus");
  home = await makeHome("connect");
});
afterAll(async () => {
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

/** A repository that the bot administers. */
async function repository(name: string, permission: "admin" | "write" = "admin", autoInit = true) {
  const made = await server.createRepository({ owner: "acme", name, autoInit });
  await server.addCollaborator(made, bot.login, permission);
  return made;
}

/** A directory of an operator's own, with the bot's token in a file. */
async function place(name: string, token = bot.token) {
  const dir = join(home, name);
  await mkdir(dir);
  await writeFile(join(dir, "token"), `${token}\n`, { mode: 0o600 });
  port = await freePort();
  return dir;
}

const words = (repo: string, ...more: string[]) => [
  "setup",
  ...["--forge", server.url, "--token-file", "token", "--repository", repo, "--yes", "--no-login"],
  ...["--url", `http://127.0.0.1:${port}`, ...more],
];
const hooksOf = async (repo: string) =>
  (await server.api(server.admin, "GET", `/repos/${repo}/hooks`)).json as {
    id: number;
    config: { url: string };
    events: string[];
  }[];
const labelsOf = async (repo: string) =>
  ((await server.api(server.admin, "GET", `/repos/${repo}/labels`)).json as { name: string }[]).map(
    (one) => one.name,
  );

describe("lazarus setup", () => {
  let dir: string;
  let repo: string;

  it("says first what it would make, and makes nothing", async () => {
    repo = await repository("first");
    dir = await place("first");
    const { code, out, err } = await lazarus(dir, words(repo, "--dry-run"));
    expect(err).toBe("");
    expect(code).toBe(0);
    for (const line of [
      `+ make        hook on ${repo}`,
      `+ make        label lazarus on ${repo}`,
      `+ make        mission form on ${repo}: by a pull request`,
      "+ make        file ",
    ])
      expect(out).toContain(line);
    expect(await hooksOf(repo)).toEqual([]);
    expect(await labelsOf(repo)).toEqual([]);
    await expect(stat(join(dir, "lazarus.yaml"))).rejects.toThrow("ENOENT");
    await expect(stat(join(dir, "data"))).rejects.toThrow("ENOENT");
  });

  it("makes it all, and ends with a signed delivery that came back", async () => {
    const { code, out, err } = await lazarus(dir, words(repo));
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^✓ delivery +${repo}: it came back after [\\d.]+ s, signed$`, "m"));
    expect(out).toContain("Next: later, lazarus setup --admin-token-file FILE: whoever gets the bot's token");
    const mode = async (name: string) => ((await stat(join(dir, name))).mode & 0o777).toString(8);
    expect(await mode("lazarus.yaml")).toBe("600");
    expect(await mode("secrets/webhook-secret")).toBe("600");
    expect(await mode("data/setup.json")).toBe("600");
    expect(parse(await readFile(join(dir, "lazarus.yaml"), "utf8"))).toMatchObject({
      server: { listen: `127.0.0.1:${port}` },
      forge: { url: server.url, token_file: "./token", repositories: [repo] },
      agents: { demo: { preset: "demo" } },
    });
    const [hook, ...others] = await hooksOf(repo);
    expect(others).toEqual([]);
    expect(hook?.config.url).toBe(`http://127.0.0.1:${port}/webhooks/gitea`);
    expect(await labelsOf(repo)).toEqual(expect.arrayContaining(["lazarus", "lazarus/waiting"]));
    const pulls = await server.pullRequests(repo);
    expect(pulls.map((one) => one.title)).toEqual(["Add the form of mission proposals"]);
    expect(out).not.toContain(bot.token);
  });

  it("leaves what is there when it is run again, and says so", async () => {
    const { code, out } = await lazarus(dir, ["setup", "--yes", "--no-login"]);
    expect(code).toBe(0);
    expect(out).not.toMatch(/^[+~!]/m);
    expect(out).toContain(`✓ there       hook on ${repo}`);
    expect(out).toContain("it came back after");
    expect(await hooksOf(repo)).toHaveLength(1);
    expect(await server.pullRequests(repo)).toHaveLength(1);
  });

  it("mends what a person took away or switched off", async () => {
    const [hook] = await hooksOf(repo);
    const off = { active: false, events: ["push"] };
    await server.api(server.admin, "PATCH", `/repos/${repo}/hooks/${hook?.id}`, off);
    const { out } = await lazarus(dir, ["setup", "--yes", "--no-login"]);
    expect(out).toMatch(/^~ changed +hook on .*it was switched off; events .*issue_comment/m);
    expect(out).toContain("it came back after");
  });

  it("a demo agent works there, without model, key or network", async () => {
    const putBack = giveOwnUids(join(dir, "lazarus.yaml"));
    const child = spawn(process.execPath, [BIN, "serve"], {
      cwd: dir,
      env: { PATH: "/usr/bin:/bin", HOME: dir },
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      await until("it listens", () => out.includes("listening"));
      await until("it is ready", async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
      // A server has the place now: it tells set-up what came.
      const again = await lazarus(dir, ["setup", "--yes", "--no-login"]);
      expect(again.out).toMatch(/^✓ delivery .*a test delivery came/m);
      const issues = await server.api(server.admin, "GET", `/repos/${repo}/issues?type=issues`);
      const [issue] = issues.json as { number: number; title: string }[];
      expect(issue?.title).toBe("Lazarus is here");
      const number = issue?.number ?? 0;
      await server.comment(server.admin, repo, { number, body: "/lazarus summon demo" });
      await until("its draft is there", async () => (await server.pullRequests(repo)).length === 2);
      const [draft] = await server.pullRequests(repo);
      expect(await server.diff(repo, draft?.number ?? 0)).toContain("+- turn 1 of cell");
    } finally {
      child.kill("SIGTERM");
      await once(child, "close");
      putBack();
    }
  });

  it("--undo removes exactly what it made", async () => {
    await server.api(server.admin, "POST", `/repos/${repo}/hooks`, {
      ...{ type: "gitea", active: true, events: ["push"] },
      config: { url: "http://127.0.0.1:9/other", content_type: "json", secret: "x" },
    });
    const { code, out, err } = await lazarus(dir, ["setup", "--undo", "--yes"]);
    expect(err).toBe("");
    expect(out).toMatch(/ removed, 0 kept$/m);
    expect(code).toBe(0);
    expect((await hooksOf(repo)).map((one) => one.config.url)).toEqual(["http://127.0.0.1:9/other"]);
    expect(await labelsOf(repo)).toEqual([]);
    const form = (await server.pullRequests(repo)).find((one) => one.title.startsWith("Add the form"));
    expect(form?.isOpen).toBe(false);
    await expect(stat(join(dir, "lazarus.yaml"))).rejects.toThrow("ENOENT");
    await expect(stat(join(dir, "secrets"))).rejects.toThrow("ENOENT");
    await expect(stat(join(dir, "data/setup.json"))).rejects.toThrow("ENOENT");
    expect(await readFile(join(dir, "token"), "utf8")).toBe(`${bot.token}\n`);
  });
});

describe("lazarus setup, where something is wrong", () => {
  it("mends itself when it was killed in the middle", async () => {
    const repo = await repository("killed");
    const dir = await place("killed");
    const env = { PATH: "/usr/bin:/bin", HOME: dir };
    const line = words(repo, "--form", "none");
    const child = spawn(process.execPath, [BIN, ...line], {
      cwd: dir,
      env,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (out.includes("+ made        hook")) child.kill("SIGKILL");
    });
    await once(child, "close");
    expect(out).toContain("+ made        hook");
    const again = await lazarus(dir, line);
    expect(again.code).toBe(0);
    expect(again.out).toContain("it came back after");
    expect(await hooksOf(repo)).toHaveLength(1);
    expect((await lazarus(dir, ["setup", "--undo", "--yes"])).code).toBe(0);
    expect(await hooksOf(repo)).toEqual([]);
  });

  it("takes over what a killed run made before it knew its number", async () => {
    const repo = await repository("halfway");
    const dir = await place("halfway");
    expect((await lazarus(dir, words(repo, "--form", "none"))).code).toBe(0);
    const path = join(dir, "data/setup.json");
    const state = JSON.parse(await readFile(path, "utf8")) as {
      made: { kind: string; id?: number | null }[];
    };
    for (const one of state.made) if (one.kind === "hook") one.id = null;
    await writeFile(path, JSON.stringify(state));
    expect((await lazarus(dir, ["setup", "--yes", "--no-login", "--form", "none"])).code).toBe(0);
    expect((await lazarus(dir, ["setup", "--undo", "--yes"])).code).toBe(0);
    expect(await hooksOf(repo)).toEqual([]);
  });

  it("a hook with another secret is told from one that is ours, and replaced when asked", async () => {
    const repo = await repository("secret");
    const dir = await place("secret");
    const url = `http://127.0.0.1:${port}/webhooks/gitea`;
    await server.createHook(repo, url, "of somebody else");
    const found = await lazarus(dir, words(repo, "--form", "none"));
    expect(found.out).toContain("it came, signed with another secret than this file's");
    expect(found.out).toContain("--replace-hooks");
    const mended = await lazarus(dir, ["setup", "--yes", "--no-login", "--form", "none", "--replace-hooks"]);
    expect(mended.out).toContain("its secret was another");
    expect(mended.out).toContain("it came back after");
    expect(await hooksOf(repo)).toHaveLength(1);
  });

  it("an address that the forge does not reach ends with the lines for app.ini", async () => {
    const repo = await repository("far");
    const dir = await place("far");
    const own = await freePort();
    const line = words(repo, "--form", "none", "--listen", `127.0.0.1:${own}`);
    const { code, out } = await lazarus(dir, line);
    expect(code).toBe(0);
    expect(out).toContain("ALLOWED_HOST_LIST = external,private,loopback");
    expect(out).toContain("Polling works meanwhile");
  });

  it("needs no hook where the forge cannot reach it at all, and remembers that", async () => {
    const repo = await repository("behind");
    const dir = await place("behind");
    const line = words(repo, "--form", "none").map((word) =>
      word.startsWith("http://127.0.0.1:") && word !== server.url ? "none" : word,
    );
    for (const words of [line, ["setup", "--yes", "--no-login", "--form", "none"]]) {
      const { code, out } = await lazarus(dir, words);
      expect(code).toBe(0);
      expect(out).toContain("No hook: Lazarus asks the forge");
    }
    expect(await hooksOf(repo)).toEqual([]);
  });

  it("where another program listens there, it says so", async () => {
    const repo = await repository("taken");
    const dir = await place("taken");
    const { createServer } = await import("node:net");
    const other = createServer().listen(port, "127.0.0.1");
    await once(other, "listening");
    try {
      const { out } = await lazarus(dir, words(repo, "--form", "none"));
      expect(out).toContain(`nothing can listen on 127.0.0.1:${port}: another program does`);
    } finally {
      other.close();
    }
  });

  it("an empty repository gets no test delivery, and a sentence", async () => {
    const repo = await repository("empty", "admin", false);
    const dir = await place("empty");
    const { code, out } = await lazarus(dir, words(repo));
    expect(code).toBe(0);
    expect(out).toContain("it has no commit yet");
  });

  it("a bot without admin rights is told where a person gives them", async () => {
    const repo = await repository("weak", "write");
    const dir = await place("weak");
    const { code, out } = await lazarus(dir, words(repo, "--form", "none"));
    expect(code).toBe(0);
    expect(out).toContain(`! yours to do hook on ${repo}: the bot does not administer it`);
    expect(out).toContain(`${server.url}/${repo}/settings/collaboration`);
    expect(out).toContain("--rights-token-file FILE");
  });

  it("commits the form where that is wanted", async () => {
    const repo = await repository("commit");
    const dir = await place("commit");
    expect((await lazarus(dir, words(repo, "--form", "commit"))).code).toBe(0);
    const path = `/repos/${repo}/contents/.gitea/ISSUE_TEMPLATE/mission-proposal.yaml`;
    expect((await server.api(server.admin, "GET", path)).status).toBe(200);
    expect((await lazarus(dir, ["setup", "--undo", "--yes"])).out).toMatch(/ removed, 0 kept$/m);
    expect((await server.api(server.admin, "GET", path)).status).toBe(404);
  });

  const faults: readonly [
    what: string,
    change: (line: string[], dir: string) => Promise<string[]> | string[],
    said: string | RegExp,
  ][] = [
    [
      "no forge",
      (line) => line.filter((word) => word !== "--forge" && word !== server.url),
      "--forge https://git.example.org",
    ],
    [
      "a forge that is none",
      (line) => line.map((word) => (word === server.url ? "ftp://x" : word)),
      "is not an address such as",
    ],
    [
      "a forge that is away",
      (line) => line.map((word) => (word === server.url ? "http://127.0.0.1:9" : word)),
      "cannot be reached",
    ],
    [
      "no token",
      (line) => line.filter((word) => word !== "--token-file" && word !== "token"),
      "the bot's token is not known",
    ],
    [
      "a missing token file",
      (line) => line.map((word) => (word === "token" ? "gone" : word)),
      "gone cannot be read: no such file",
    ],
    [
      "no repository",
      (line) => line.filter((word) => word !== "--repository" && !word.startsWith("acme/")),
      "which repositories is not known",
    ],
    [
      "an unknown repository",
      (line) => line.map((word) => (word.startsWith("acme/") ? "acme/none" : word)),
      "there is no such repository, or lazarus may not see it",
    ],
    [
      "a name that is none",
      (line) => line.map((word) => (word.startsWith("acme/") ? "../etc" : word)),
      "is not owner/repo",
    ],
    [
      "an agent that is not here",
      (line) => [...line, "--agent", "claude"],
      "its program is not on this machine's PATH",
    ],
    [
      "nobody to say yes",
      (line) => line.filter((word) => word !== "--yes"),
      "say --yes to carry this plan out",
    ],
    [
      "a file of answers with a typo",
      async (line, dir) => {
        await writeFile(join(dir, "answers.yaml"), stringify({ forgr: "x" }));
        return [...line, "--answers", "answers.yaml"];
      },
      /forgr: no such key; there are forge,/,
    ],
    [
      "a form by no known way",
      (line) => [...line, "--form", "mail"],
      "mail is not one of pull-request, commit, none",
    ],
    [
      "a broken file that exists",
      async (line, dir) => {
        await writeFile(join(dir, "lazarus.yaml"), "forge: {url: 3}\n");
        return line;
      },
      "forge.url",
    ],
    [
      "a file for another forge",
      async (line, dir) => {
        const forge = {
          url: "https://elsewhere.example.org",
          token: "t",
          webhook_secret: "s",
          repositories: ["a/b"],
        };
        await writeFile(
          join(dir, "lazarus.yaml"),
          stringify({ forge, data: "./data", missions: "./missions" }),
        );
        return line;
      },
      "is for https://elsewhere.example.org, not for",
    ],
    ["nothing to undo", () => ["setup", "--undo", "--yes"], "is not there: name the file that setup made"],
  ];
  it.each(faults)("%s is one clear sentence, and nothing is made", async (what, change, said) => {
    const name = `fault-${what.replaceAll(" ", "-")}`;
    const repo = await repository(name);
    const dir = await place(name);
    const { code, err } = await lazarus(dir, await change(words(repo), dir));
    expect(err).toMatch(
      said instanceof RegExp ? said : new RegExp(said.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")),
    );
    expect(err).not.toMatch(/\n\s+at /);
    expect(code).not.toBe(0);
    expect(await hooksOf(repo)).toEqual([]);
  });

  it("a token that lacks scopes is named with those it lacks", async () => {
    const repo = await repository("scopes");
    const weak = await weakToken();
    const dir = await place("scopes", weak);
    const { code, err } = await lazarus(dir, words(repo));
    expect(err).toContain("lacks write:issue and write:repository");
    expect(code).toBe(2);
    const wrong = await place("wrong-token", "0123456789012345678901234567890123456789");
    expect((await lazarus(wrong, words(repo))).err).toContain("401");
  });

  it("makes the bot's account with an administrator's token, which it forgets", async () => {
    const repo = await server.createRepository({ owner: "acme", name: "admin" });
    const dir = await place("admin", server.admin.token);
    const line = ["setup", "--forge", server.url, "--admin-token-file", "token", "--bot", "undertaker"];
    const more = [
      "--repository",
      repo,
      "--url",
      `http://127.0.0.1:${port}`,
      "--yes",
      "--no-login",
      "--form",
      "none",
    ];
    const { code, out, err } = await lazarus(dir, [...line, ...more]);
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(out).toContain("→ the bot is undertaker");
    expect(out).toContain("it came back after");
    const text = await readFile(join(dir, "lazarus.yaml"), "utf8");
    expect(text).toContain("./secrets/forge-token");
    expect(await readFile(join(dir, "secrets/forge-token"), "utf8")).not.toContain(server.admin.token);
  });

  it("prints one document with --json, and secrets nowhere", async () => {
    const repo = await repository("json");
    const dir = await place("json");
    const { code, out, err } = await lazarus(dir, ["--json", ...words(repo, "--form", "none")]);
    expect(code).toBe(0);
    const found = JSON.parse(out) as { steps: { what: string; state: string }[]; round_trips: unknown };
    expect(found.round_trips).toEqual([{ repository: repo, result: "came" }]);
    expect(found.steps).toContainEqual({
      what: `hook on ${repo}`,
      state: "make",
      detail: expect.any(String),
    });
    expect(out + err).not.toContain(bot.token);
  });

  it("finds agents on the PATH, and asks each whether it is logged in", async () => {
    const repo = await repository("agents");
    const dir = await place("agents");
    await mkdir(join(dir, "bin"));
    for (const [name, exit] of [
      ["codex", 0],
      ["claude", 0],
    ] as const)
      await writeFile(
        join(dir, "bin", name),
        `#!/bin/sh\n[ "$*" = "login status" ] && exit ${exit}\nexit 3\n`,
        { mode: 0o755 },
      );
    const line = words(repo, "--form", "none", "--agent", "codex", "--agent", "demo");
    const { code, out } = await lazarus(dir, line, `${join(dir, "bin")}:/usr/bin:/bin`);
    expect(code).toBe(0);
    expect(out).toContain("codex (logged in on this machine");
    expect(out).toContain("claude (not logged in, no key)");
    expect(parse(await readFile(join(dir, "lazarus.yaml"), "utf8")).agents).toMatchObject({
      codex: {
        preset: "codex",
        env: ["CODEX_API_KEY"],
        network: ["api.openai.com"],
        paths: [join(dir, "bin")],
      },
    });
  });
});

/** A token of the bot that may only read. */
async function weakToken(): Promise<string> {
  const pair = Buffer.from(`${bot.login}:${bot.password}`).toString("base64");
  const answer = await fetch(`${server.url}/api/v1/users/${bot.login}/tokens`, {
    method: "POST",
    headers: { authorization: `Basic ${pair}`, "content-type": "application/json" },
    body: JSON.stringify({
      name: "weak",
      scopes: ["read:issue", "read:repository", "read:user", "read:organization"],
    }),
  });
  return ((await answer.json()) as { sha1: string }).sha1;
}
