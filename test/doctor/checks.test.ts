import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeApplication } from "../dashboard/visitor.ts";
import { Stage } from "../e2e/stage.ts";
import { BUCKET, READER, S3StandIn, WRITER } from "../fakes/s3/stand-in.ts";
import { RedisServer } from "../scale/redis.ts";

interface Found {
  readonly level: string;
  readonly what: string;
  readonly detail: string;
}

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set({ serve: false });
  await chmod(stage.lazarus.dir, 0o711);
});
afterAll(() => stage?.strike());

interface How {
  readonly more?: Readonly<Record<string, unknown>>;
  readonly forge?: Readonly<Record<string, unknown>>;
  readonly token?: string;
  readonly words?: readonly string[];
}

/** What `doctor --json` finds with this on top of a sound configuration. */
async function examined({ more = {}, forge = {}, token, words = [] }: How = {}) {
  const { lazarus, server, bot, repo } = stage;
  await lazarus.configure({
    ...{
      forgeUrl: server.url,
      token: token ?? bot.token,
      agents: { plain: "true" },
      repositories: [repo],
      forge,
    },
    more: { server: { listen: lazarus.listen }, limits: { free: "1MB" }, ...more },
  });
  const { code, stdout, stderr } = await lazarus.cli("doctor", "--json", ...words);
  expect(stderr).toBe("");
  const { findings, mended } = JSON.parse(stdout) as { findings: Found[]; mended?: string[] };
  const of = (what: string) =>
    findings.filter((one) => one.what === what).map((one) => [one.level, one.detail]);
  return { code, findings, mended, of };
}

async function tokenWith(...scopes: string[]): Promise<string> {
  const { bot, server } = stage;
  const pair = Buffer.from(`${bot.login}:${bot.password}`).toString("base64");
  const answer = await fetch(`${server.url}/api/v1/users/${bot.login}/tokens`, {
    method: "POST",
    headers: { authorization: `Basic ${pair}`, "content-type": "application/json" },
    body: JSON.stringify({ name: scopes.join(" "), scopes }),
  });
  return ((await answer.json()) as { sha1: string }).sha1;
}

const editBot = (change: object) =>
  stage.server.api(stage.server.admin, "PATCH", `/admin/users/${stage.bot.login}`, {
    ...{ login_name: stage.bot.login, source_id: 0 },
    ...change,
  });

describe("the doctor looks at what the forge calls itself", () => {
  const WHAT = "forge's own address";
  it("is content where browsers reach it so", async () => {
    const { url } = stage.server;
    expect((await examined()).of(WHAT)).toEqual([["ok", `${url}, as browsers reach it`]]);
    const other = url.replace("127.0.0.1", "localhost");
    expect((await examined({ forge: { url: other, public_url: url } })).of(WHAT)).toEqual([
      ["ok", `${url}, as browsers reach it`],
    ]);
  });

  it("says what to set where links lead astray", async () => {
    const { url } = stage.server;
    const other = url.replace("127.0.0.1", "localhost");
    const root = `set ROOT_URL = ${other}/ in [server] of the forge's app.ini and restart it`;
    const says = `it calls itself ${url}, browsers reach it as ${other}: links lead astray: ${root}`;
    expect((await examined({ forge: { public_url: other } })).of(WHAT)).toEqual([["warn", says]]);
    expect((await examined({ forge: { url: other } })).of(WHAT)).toEqual([
      ["warn", `${says}; or, where ${url} is right for browsers, set forge.public_url: ${url}`],
    ]);
  });
});

describe("the doctor looks at the bot's account and its token", () => {
  it("finds the clocks together, and a token with just what is needed", async () => {
    const token = await tokenWith("write:issue", "write:repository", "read:user", "read:organization");
    const { of } = await examined({ token });
    expect(of("clock")).toEqual([["ok", "agrees with the forge's"]]);
    expect(of("token")).toEqual([["ok", "it has the scopes that are needed"]]);
  });

  it("names the scopes that are missing, and fails", async () => {
    const token = await tokenWith("read:issue", "read:repository", "read:user", "read:organization");
    const { code, of } = await examined({ token });
    expect(code).toBe(1);
    expect(of("token")).toEqual([
      [
        "FAIL",
        expect.stringMatching(/^it lacks the scopes write:issue, write:repository: make one with .* at http/),
      ],
    ]);
  });

  it("says that a token may more than it needs, and that the bot administers the forge", async () => {
    await editBot({ admin: true });
    const { of } = await examined();
    await editBot({ admin: false });
    expect(of("account")).toEqual([
      ["warn", expect.stringContaining("administers the whole forge, and need not")],
    ]);
    expect(of("token")).toEqual([
      ["warn", expect.stringContaining("it may more than it needs: make one with")],
    ]);
  });

  it("says how to get on where the forge waits for another password", async () => {
    await editBot({ must_change_password: true });
    const { code, of } = await examined();
    await editBot({ must_change_password: false });
    expect(code).toBe(1);
    expect(of("account")).toEqual([["FAIL", expect.stringContaining("--must-change-password=false")]]);
  });
});

describe("the doctor looks at sign-in", () => {
  const login = async (redirect: string) => makeApplication(stage.server, stage.bot, redirect);
  const ours = () => `http://${stage.lazarus.listen}/login/callback`;

  it("is content without one, and with a right one", async () => {
    expect((await examined()).of("login")).toEqual([["ok", expect.stringContaining("lazarus open")]]);
    const right = await login(ours());
    expect((await examined({ more: { login: right } })).of("login")).toEqual([
      ["ok", expect.stringContaining(ours())],
    ]);
  });

  it("finds a wrong secret, an unknown application and another address", async () => {
    const right = await login(ours());
    const wrong = { ...right, client_secret: "gto_of-another-application" };
    const { code, of, findings } = await examined({ more: { login: wrong } });
    expect(code).toBe(1);
    expect(of("login")).toEqual([["FAIL", expect.stringContaining("refuses the secret of application")]]);
    expect(JSON.stringify(findings)).not.toContain(wrong.client_secret);
    const gone = { ...right, client_id: "11111111-2222-3333-4444-555555555555" };
    expect((await examined({ more: { login: gone } })).of("login")).toEqual([
      ["FAIL", expect.stringContaining("knows no application 11111111")],
    ]);
    const elsewhere = await login("http://127.0.0.1:9/login/callback");
    expect((await examined({ more: { login: elsewhere } })).of("login")).toEqual([
      ["FAIL", expect.stringMatching(/sends people back to http:\/\/127\.0\.0\.1:9.*the dashboard is at/)],
    ]);
  });

  it("fails where sign-in would be refused over plain http, and warns where that is allowed", async () => {
    const url = "http://lazarus.example.org:8420";
    const app = await login(`${url}/login/callback`);
    const server = { listen: stage.lazarus.listen, url };
    expect((await examined({ more: { server, login: app } })).of("login")).toEqual([
      ["FAIL", expect.stringContaining("sign-in is refused")],
    ]);
    expect((await examined({ more: { server, login: { ...app, allow_http: true } } })).of("login")).toEqual([
      ["warn", expect.stringContaining("is plain http")],
    ]);
  });
});

describe("the doctor looks at this machine", () => {
  it("finds too little space for limits.free", async () => {
    const { code, of } = await examined({ more: { limits: { free: "900000GB" } } });
    expect(code).toBe(1);
    expect(of("disk at data")).toEqual([
      ["FAIL", expect.stringMatching(/free at .*so no cell starts: lazarus status --all/)],
    ]);
    expect((await examined()).of("disk at data")).toEqual([
      ["ok", expect.stringContaining("limits.free is")],
    ]);
  });

  it("finds a known agent that nobody logged in", async () => {
    const bin = join(stage.lazarus.dir, "codex");
    await writeFile(bin, "#!/bin/sh\necho 1.0\n");
    await chmod(bin, 0o755);
    const codex = { preset: "codex", command: [bin], backend: "process" };
    const { findings } = await examined({ more: { agents: { codex } } });
    expect(findings).toContainEqual({
      ...{ level: "warn", what: "agent codex" },
      detail: expect.stringMatching(/^login: it has no key and no home.*env: \[CODEX_API_KEY\]/),
    });
  });
});

describe("the doctor looks at the registry, and changes nothing in it", () => {
  const path = () => join(stage.lazarus.dataDir, "lazarus.db");

  it("says that there is none yet, then what is dead and what waits, and that no backup was made", async () => {
    expect((await examined()).of("registry")).toEqual([["ok", expect.stringContaining("none yet")]]);
    await stage.lazarus.serve();
    await stage.lazarus.end();
    const sound = await examined();
    expect(sound.of("registry")).toEqual([["ok", expect.stringMatching(/^whole, schema \d+$/)]]);
    expect(sound.of("jobs")).toEqual([["ok", "none is dead, none waits long"]]);
    expect(sound.of("backup")).toEqual([
      ["warn", expect.stringContaining("none was made yet: lazarus backup FILE")],
    ]);
    const sql = new Database(path());
    const add = sql.prepare(
      `INSERT INTO jobs (id, queue, kind, key, lane, state, payload, max_attempts, put_at, not_before)
       VALUES (@id, 'posts', 'react', @id, @id, @state, '{}', 1, @at, @at)`,
    );
    add.run({ id: "a-dead-one", state: "dead", at: 1 });
    add.run({ id: "an-old-one", state: "waiting", at: Date.now() - 3_600_000 });
    sql.close();
    expect((await examined()).of("jobs")).toEqual([
      ["warn", expect.stringMatching(/^1 dead: lazarus jobs shows why/)],
      ["warn", expect.stringMatching(/^the oldest is due for 1h.*is lazarus serve running/)],
    ]);
    expect((await stage.lazarus.cli("backup", join(stage.lazarus.dir, "b.tar.gz"))).code).toBe(0);
    expect((await examined()).of("backup")).toEqual([["ok", expect.stringContaining("the last one is")]]);
  });

  it("fails on one that a newer Lazarus wrote, and on one that is no database", async () => {
    const sql = new Database(path());
    const schema = Number(sql.pragma("user_version", { simple: true }));
    sql.pragma("user_version = 9999");
    sql.close();
    const newer = await examined();
    expect([newer.code, newer.of("registry")]).toEqual([
      1,
      [["FAIL", expect.stringMatching(/^a newer Lazarus wrote it \(schema 9999/)]],
    ]);
    const again = new Database(path());
    again.pragma(`user_version = ${schema}`);
    again.close();
    await writeFile(
      path(),
      "this is no database, whatever its name says; it is long enough to be looked at\n",
    );
    const { code, of } = await examined();
    expect(code).toBe(1);
    expect(of("registry")).toEqual([["FAIL", expect.stringContaining("not a database")]]);
  });
});

describe("the doctor mends what setup can", () => {
  it("modes of files with secrets, events of the hook, and labels; and then finds nothing more of them", async () => {
    const { lazarus, server, repo } = stage;
    const secrets = join(lazarus.dir, "secrets");
    await mkdir(secrets);
    const tokenFile = join(secrets, "token");
    await writeFile(tokenFile, `${stage.bot.token}\n`);
    await chmod(tokenFile, 0o644);
    const forge = { token: undefined, token_file: "./secrets/token" };
    const hooks = await server.api(server.admin, "GET", `/repos/${repo}/hooks`);
    const [hook] = hooks.json as { id: number }[];
    await server.api(server.admin, "PATCH", `/repos/${repo}/hooks/${hook?.id}`, { events: ["push"] });
    const before = await examined({ forge });
    expect(before.of("modes")).toEqual([
      [
        "warn",
        expect.stringMatching(/others may read or change .*secrets\/token \(mode 0644\): chmod 600 it/),
      ],
    ]);
    expect(before.of(`hook events of ${repo}`)).toEqual([["warn", expect.stringContaining("issue_comment")]]);
    expect(before.of(`labels of ${repo}`)).toEqual([
      ["warn", expect.stringContaining("lazarus/waiting missing")],
    ]);
    expect((await stat(tokenFile)).mode & 0o777).toBe(0o644);
    const after = await examined({ forge, words: ["--fix"] });
    expect(after.mended).toEqual([
      `~ changed     mode of ${tokenFile}: 0600`,
      expect.stringMatching(/^~ changed +hook on .*issue_comment/),
      `+ made        label lazarus on ${repo}`,
      `+ made        label lazarus/waiting on ${repo}`,
    ]);
    expect(after.of("modes")).toEqual([["ok", expect.any(String)]]);
    for (const what of ["hook events", "labels"]) expect(after.of(`${what} of ${repo}`)).toEqual([]);
    expect((await examined({ forge, words: ["--fix"] })).mended).toEqual([]);
  });
});

describe("the doctor looks at the Redis of queue", () => {
  it("says its version, what it keeps, and what of it loses messages", async () => {
    const redis = await RedisServer.start(["--maxmemory-policy", "allkeys-lru"]);
    try {
      const { of } = await examined({ more: { queue: redis.url } });
      expect(of("redis")).toEqual([
        ["ok", expect.stringMatching(/^Redis \d+\.\d+.*, answers in [\d.]+ ms, keeps nothing on disk$/)],
        ["warn", expect.stringContaining("its maxmemory-policy is allkeys-lru")],
        ["warn", expect.stringContaining("nothing is lost")],
      ]);
      await redis.kill();
      const gone = await examined({ more: { queue: redis.url } });
      expect(gone.code).toBe(1);
      expect(gone.of("redis")).toEqual([
        ["FAIL", expect.stringMatching(/nobody listens there.*runners get none/)],
      ]);
    } finally {
      await redis.remove();
    }
  });
});

describe("the doctor tries where seals are kept", () => {
  it("in a directory", async () => {
    expect((await examined({ more: { seals: "./seals" } })).of("seals")).toEqual([
      ["ok", expect.stringMatching(/seals: a small file was written, read and removed$/)],
    ]);
    const file = await examined({ more: { seals: "./lazarus.yaml/seals" } });
    expect([file.code, ...file.of("seals")]).toEqual([
      1,
      [
        "FAIL",
        expect.stringMatching(/\(seals in lazarus\.yaml\).*; seals stay on their runners until it works$/),
      ],
    ]);
  });

  it("in a bucket", async () => {
    const s3 = await S3StandIn.start();
    try {
      const bucket = { seals: `s3://${BUCKET}/x`, seals_endpoint: s3.url };
      const keys = (one: typeof WRITER) => ({ seals_key_id: one.keyId, seals_secret: one.secret });
      const well = await examined({ more: { ...bucket, ...keys(WRITER) } });
      expect(well.of("seals").filter(([level]) => level !== "warn")).toEqual([
        ["ok", `s3://seals/x at ${s3.url}: a small file was written, read and removed`],
      ]);
      expect(s3.objects.size).toBe(0);
      const reads = await examined({ more: { ...bucket, ...keys(READER) } });
      expect([reads.code, ...reads.of("seals")]).toEqual([
        1,
        [
          "FAIL",
          expect.stringMatching(/let it list the bucket, and read, write and remove its objects; seals stay/),
        ],
      ]);
    } finally {
      await s3.stop();
    }
  });
});
