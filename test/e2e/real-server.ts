import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createToken, HttpServer } from "./http-server.ts";
import { send } from "./request.ts";
import type { E2eServer } from "./server.ts";

const READY_MS = 60_000;
const STOP_MS = 15_000;
const ADMIN = { login: "root1", password: "pass-of-root1" };

const run = promisify(execFile);

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}

/** @see reference: `forge-stand-in.md`, section 2. */
function appIni(dir: string, port: number, staticRoot: string | null): string {
  const isRoot = process.getuid?.() === 0;
  return `${isRoot ? "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\n" : ""}WORK_PATH = ${dir}
RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = ${port}
ROOT_URL = http://127.0.0.1:${port}/
${staticRoot === null ? "" : `STATIC_ROOT_PATH = ${staticRoot}\n`}DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = ${join(dir, "gitea.db")}
SQLITE_JOURNAL_MODE = WAL
[security]
INSTALL_LOCK = true
SECRET_KEY = ${randomBytes(32).toString("hex")}
PASSWORD_HASH_ALGO = pbkdf2$1$50
[service]
DISABLE_REGISTRATION = true
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
[log]
LEVEL = warn
[session]
PROVIDER = memory
`;
}

/**
 * Starts a Gitea or Forgejo of its own in a temporary directory on a free port, with an admin and SQLite.
 * `staticRoot` is the folder of templates for builds that do not carry them. Throws with the end of the
 * server's log where it does not come up; leaves nothing behind either way.
 */
export async function startRealServer(executable: string, staticRoot: string | null): Promise<E2eServer> {
  const dir = await mkdtemp(join(tmpdir(), "lazarus-e2e-"));
  let child: ChildProcess | null = null;
  const stop = async () => {
    if (child) await end(child);
    await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  try {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const config = join(dir, "app.ini");
    const env = { PATH: process.env.PATH ?? "", HOME: join(dir, "home"), GITEA_WORK_DIR: dir };
    await mkdir(env.HOME);
    await writeFile(config, appIni(dir, port, staticRoot));
    await run(executable, ["--config", config, "migrate"], { env, cwd: dir });
    const person = ["--username", ADMIN.login, "--password", ADMIN.password, "--email", "root1@example.org"];
    const create = ["admin", "user", "create", ...person, "--admin", "--must-change-password=false"];
    await run(executable, ["--config", config, ...create], { env, cwd: dir });
    const log = await open(join(dir, "web.log"), "a");
    child = spawn(executable, ["--config", config, "web"], {
      env,
      cwd: dir,
      stdio: ["ignore", log.fd, log.fd],
    });
    await log.close();
    const kill = () => child?.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    await untilReady(child, url, join(dir, "web.log"));
    return await seat(url, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function seat(url: string, stop: () => Promise<void>): Promise<E2eServer> {
  const token = await createToken(url, ADMIN.login, ADMIN.password);
  const headers = { Authorization: `token ${token}` };
  const me = (await send(`${url}/api/v1/user`, { headers })).json as { id: number };
  const version = ((await send(`${url}/api/v1/version`, {})).json as { version: string }).version;
  const name = version.includes("+gitea-") ? "forgejo" : "gitea";
  return new HttpServer({ name, url, version, admin: { id: me.id, ...ADMIN, token }, stop });
}

async function untilReady(child: ChildProcess, url: string, log: string): Promise<void> {
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline; ) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    const isReady = await send(`${url}/api/healthz`, {}).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (isReady) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the server did not come up: ${(await readFile(log, "utf8")).slice(-2_000)}`);
}

/** TERM, and KILL where that does not end it. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}
