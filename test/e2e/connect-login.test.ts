import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { consent, Visitor } from "../dashboard/visitor.ts";
import { until } from "../fakes/until.ts";
import { Browser } from "./browser.ts";
import { makeHome, runIn } from "./run-in.ts";
import { type E2eServer, type E2eUser, serverFromEnvironment } from "./servers.ts";
import { freePort } from "./stage.ts";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");

let server: E2eServer;
let bot: E2eUser;
let home: string;

beforeAll(async () => {
  server = await serverFromEnvironment();
  bot = await server.createUser("lazarus");
  home = await makeHome("connect-login");
});
afterAll(async () => {
  await server?.stop();
  await rm(home, { recursive: true, force: true });
});

interface Place {
  readonly dir: string;
  readonly port: number;
  setup(...more: string[]): ReturnType<typeof runIn>;
}

/** A directory with the bot's token in a file, and a repository that the bot administers. */
async function place(name: string, { token = bot.token, below = "" } = {}): Promise<Place> {
  const repo = await server.createRepository({ owner: "acme", name, autoInit: true });
  await server.addCollaborator(repo, bot.login, "admin");
  const dir = join(home, name);
  await mkdir(dir);
  await writeFile(join(dir, "token"), `${token}\n`, { mode: 0o600 });
  const port = await freePort();
  const usual = ["--yes", "--form", "none", "--no-issue"];
  const line = [
    ...["setup", "--forge", server.url, "--token-file", "token", "--repository", repo, ...usual],
    ...["--url", `http://127.0.0.1:${port}${below}`, "--listen", `127.0.0.1:${port}`],
  ];
  return { dir, port, setup: (...more) => runIn(dir, [...line, ...more]) };
}

interface Application {
  readonly id: number;
  readonly name: string;
  readonly client_id: string;
  readonly redirect_uris: readonly string[];
}
async function applications(): Promise<readonly Application[]> {
  return (await server.api(bot, "GET", "/user/applications/oauth2")).json as Application[];
}
async function removeAll(): Promise<void> {
  for (const one of await applications())
    await server.api(bot, "DELETE", `/user/applications/oauth2/${one.id}`);
}
const loginIn = async (dir: string) =>
  (parse(await readFile(join(dir, "lazarus.yaml"), "utf8")) as { login?: { client_id: string } }).login;

/** Signs the administrator of the forge in to a dashboard that is served from a directory; answers the page. */
async function signInAt({ dir, port }: Place): Promise<string> {
  const env = { PATH: "/usr/bin:/bin", HOME: dir };
  const child = spawn(process.execPath, [BIN, "serve"], {
    cwd: dir,
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  try {
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    await until("it listens", () => out.includes("listening"));
    const visitor = new Visitor(`http://127.0.0.1:${port}`);
    const begun = await visitor.ask("/login/start?to=/me");
    const forge = new Browser(server.url);
    await forge.login(server.admin);
    await visitor.ask(await consent(forge, String(begun.headers.location)));
    return (await visitor.ask("/me")).text;
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
  }
}

describe("lazarus setup, and who signs in to the dashboard", () => {
  let at: Place;

  it("makes the application that people sign in with, and tells nobody its secret", async () => {
    at = await place("login");
    const { code, out, err } = await at.setup();
    expect(err).toBe("");
    expect(code).toBe(0);
    const redirect = `http://127.0.0.1:${at.port}/login/callback`;
    expect(out).toContain(`+ made        OAuth2 application Lazarus: ${redirect}`);
    const [made, ...others] = await applications();
    expect(others).toEqual([]);
    expect(made).toMatchObject({ name: "Lazarus", redirect_uris: [redirect] });
    expect(await loginIn(at.dir)).toEqual({
      client_id: made?.client_id,
      client_secret_file: "./secrets/login-secret",
    });
    const file = join(at.dir, "secrets/login-secret");
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
    expect(out).not.toContain((await readFile(file, "utf8")).trim());
  });

  it("somebody of the forge signs in with it", async () => {
    expect(await signInAt(at)).toContain(`<h1>${server.admin.login}</h1>`);
  });

  it("is left as it is when setup runs again", async () => {
    const before = await readFile(join(at.dir, "secrets/login-secret"), "utf8");
    const { code, out } = await at.setup();
    expect(code).toBe(0);
    expect(out).not.toMatch(/^[+~!]/m);
    expect(out).toMatch(/^✓ there +OAuth2 application Lazarus/m);
    expect(await applications()).toHaveLength(1);
    expect(await readFile(join(at.dir, "secrets/login-secret"), "utf8")).toBe(before);
  });

  it("is made anew with a new secret where somebody removed it on the forge", async () => {
    const before = await readFile(join(at.dir, "secrets/login-secret"), "utf8");
    await removeAll();
    const { code, out } = await at.setup();
    expect(code).toBe(0);
    expect(out).toMatch(/^\+ made +OAuth2 application Lazarus/m);
    expect(await readFile(join(at.dir, "secrets/login-secret"), "utf8")).not.toBe(before);
    expect((await loginIn(at.dir))?.client_id).toBe((await applications())[0]?.client_id);
    expect(await signInAt(at)).toContain(`<h1>${server.admin.login}</h1>`);
  });

  it("--undo removes it, and the file with its secret", async () => {
    const { code, out, err } = await runIn(at.dir, ["setup", "--undo", "--yes"]);
    expect(err).toBe("");
    expect(out).toMatch(/ removed, 0 kept$/m);
    expect(code).toBe(0);
    expect(await applications()).toEqual([]);
    await expect(stat(join(at.dir, "secrets"))).rejects.toThrow("ENOENT");
  });
});

describe("lazarus setup, where the application is half made or not its own", () => {
  it("sends people back below the path that the dashboard lies under", async () => {
    const at = await place("below", { below: "/lazarus" });
    expect((await at.setup()).code).toBe(0);
    const [made] = await applications();
    expect(made?.redirect_uris).toEqual([`http://127.0.0.1:${at.port}/lazarus/login/callback`]);
    await removeAll();
  });

  it("makes it anew where a run was killed before the secret was written down", async () => {
    const at = await place("killed");
    expect((await at.setup()).code).toBe(0);
    const path = join(at.dir, "data/setup.json");
    const state = JSON.parse(await readFile(path, "utf8")) as {
      made: { kind: string; id?: number | null }[];
    };
    for (const one of state.made) if (one.kind === "application") one.id = null;
    await writeFile(path, JSON.stringify(state));
    const file = join(at.dir, "lazarus.yaml");
    const { login: _, ...rest } = parse(await readFile(file, "utf8")) as Record<string, unknown>;
    await writeFile(file, stringify(rest));
    const { code, out } = await at.setup();
    expect(code).toBe(0);
    expect(out).toMatch(/^~ changed +OAuth2 application Lazarus/m);
    expect(await applications()).toHaveLength(1);
    expect(await signInAt(at)).toContain(`<h1>${server.admin.login}</h1>`);
  });

  it("--undo finds one whose number a killed run did not learn", async () => {
    const path = join(home, "killed/data/setup.json");
    const state = JSON.parse(await readFile(path, "utf8")) as {
      made: { kind: string; id?: number | null }[];
    };
    for (const one of state.made) if (one.kind === "application") one.id = null;
    await writeFile(path, JSON.stringify(state));
    await runIn(join(home, "killed"), ["setup", "--undo", "--yes"]);
    expect(await applications()).toEqual([]);
  });

  it("touches none that a person made, and says how to go on", async () => {
    const at = await place("strange");
    const redirect = `http://127.0.0.1:${at.port}/login/callback`;
    await server.api(bot, "POST", "/user/applications/oauth2", {
      ...{ name: "Lazarus", redirect_uris: [redirect], confidential_client: true },
    });
    const { code, out } = await at.setup();
    expect(code).toBe(0);
    expect(out).toMatch(/^! yours to do OAuth2 application Lazarus: one is there .*its secret is told once/m);
    expect(await applications()).toHaveLength(1);
    expect(await loginIn(at.dir)).toBeUndefined();
    await runIn(at.dir, ["setup", "--undo", "--yes"]);
    expect(await applications()).toHaveLength(1);
    await removeAll();
  });
});
