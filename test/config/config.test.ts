// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is what the file holds
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Config, loadConfig, type Need } from "../../src/config/config.ts";
import { ConfigFault } from "../../src/config/config-fault.ts";
import { CONFIG_KEYS } from "../../src/config/schema.ts";

const EXAMPLE = readFileSync(join(import.meta.dirname, "../../lazarus.example.yaml"), "utf8");
const ALL: readonly Need[] = ["forge", "server", "agents", "pit"];
const BASICS =
  'forge: {url: "https://git.example.org", token: token-of-the-bot, webhook_secret: hook-secret, repositories: ["acme/*"]}\n';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-config-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

interface Given {
  readonly needs?: readonly Need[];
  readonly env?: Record<string, string>;
}

function load(text: string, { needs = ALL, env = {} }: Given = {}): Config {
  writeFileSync(join(dir, "lazarus.yaml"), text);
  return loadConfig({ env, cwd: dir, needs });
}

function faults(text: string, given?: Given): readonly string[] {
  try {
    load(text, given);
  } catch (error) {
    if (error instanceof ConfigFault) return error.faults;
    throw error;
  }
  return [];
}

describe("the example", () => {
  test("loads as it stands when its variables and paths are given", () => {
    mkdirSync(join(dir, "homes/allegro"), { recursive: true });
    writeFileSync(join(dir, "ca.pem"), "");
    const env = {
      LAZARUS_TOKEN: "token-of-the-bot",
      HOOK_SECRET: "hook-secret",
      ANTHROPIC_API_KEY: "key-of-the-model",
      LOGIN_ID: "id-of-the-application",
      LOGIN_SECRET: "secret-of-the-application",
      METRICS_TOKEN: "token-of-the-metrics",
    };
    const config = load(EXAMPLE.replace("/etc/ssl/forge-ca.pem", "ca.pem"), { env });
    expect(config.forge).toEqual({
      url: "https://git.example.org",
      publicUrl: "https://git.example.org",
      token: "token-of-the-bot",
      rightsToken: "token-of-the-bot",
      webhookSecrets: [{ pattern: "*", secret: "hook-secret" }],
      repositories: ["acme/*"],
      caFile: join(dir, "ca.pem"),
      pollMs: 60_000,
    });
    expect(config.limits).toMatchObject({
      runMs: 7_200_000,
      keepMs: 14 * 86_400_000,
      diskBytes: 10 * 1024 ** 3,
    });
    const allegro = config.agents.get("allegro");
    expect(allegro).toMatchObject({
      homeTemplate: join(dir, "homes/allegro"),
      env: { ANTHROPIC_API_KEY: "key-of-the-model" },
    });
    expect(allegro).toMatchObject({ backend: "sandbox", isDefaultBackend: false });
    expect(config.secrets).toEqual([
      ...["token-of-the-bot", "secret-of-the-application", "token-of-the-metrics"],
      ...["hook-secret", "key-of-the-model"],
    ]);
    expect(config.login).toEqual({
      client: { id: "id-of-the-application", secret: "secret-of-the-application" },
      sessionMs: 8 * 3_600_000,
      allowsHttp: false,
    });
    expect(config.audit).toEqual({ keepMs: 400 * 86_400_000 });
    expect(config.notices.join("\n")).toMatch(/agents\.allegro\.image: /);
    expect(config.notices.join("\n")).not.toMatch(/health_url|quiet|stalled/);
    expect(() => Object.assign(allegro?.limits ?? {}, { runMs: 1 })).toThrow(TypeError);
  });

  test("lets an agent be silent for longer than others, and none be stalled before it is quiet", () => {
    const text =
      "pit: {quiet: 1m, stalled: 2m}\nagents: {a: {preset: aider, limits: {stalled: 1h}}, b: {preset: aider}}";
    const { agents } = load(text, { needs: ["pit"] });
    expect(agents.get("a")?.limits).toMatchObject({ quietMs: 60_000, stalledMs: 3_600_000 });
    expect(agents.get("b")?.limits).toMatchObject({ quietMs: 60_000, stalledMs: 120_000 });
    const wrong =
      "pit: {quiet: 3m, stalled: 2m}\nagents: {a: {preset: aider, limits: {quiet: 3m, stalled: 2m}}}";
    expect(() => load(wrong, { needs: ["pit"] })).toThrow(
      /pit\.stalled: is shorter than pit\.quiet.*agents\.a\.limits\.stalled: is shorter/,
    );
  });

  test("shows every key of the schema but the _file ones, and no other", () => {
    const shown = (value: unknown, path: string): string[] => {
      const isLeaf =
        typeof value !== "object" || value === null || Array.isArray(value) || path.endsWith(".set");
      return isLeaf
        ? [path]
        : Object.entries(value).flatMap(([key, each]) => shown(each, path ? `${path}.${key}` : key));
    };
    const paths = shown(parse(EXAMPLE), "").map((each) =>
      each
        .replace("agents.allegro", "agents.NAME")
        .replace("checks.acme/*", "checks.REPOSITORIES")
        .replace("REPOSITORIES.test", "REPOSITORIES.NAME"),
    );
    // What only runners on other hosts, and buckets, need stands in docs/runners.md, and in the table of docs/reference.md.
    const isShown = (each: string) => !/(token|secrets?)_file$|^(queue|seals)_|^runner\./.test(each);
    const keys = CONFIG_KEYS.map((each) => each.path).filter(isShown);
    // They stand in comments: one takes another's place, one needs an account of its own.
    const others = ["rights_token", "webhook_secrets"];
    for (const other of others) expect(EXAMPLE).toContain(`  # ${other}: `);
    const all = [...paths, "agents.NAME.command", ...others.map((other) => `forge.${other}`)];
    expect(all.sort()).toEqual(keys.sort());
  });

  test("shows the defaults of pit, publish, uids, limits and an agent's limits", () => {
    const bare = load("agents: {one: {preset: aider}}", { needs: ["pit"] });
    const shown = load(EXAMPLE, { needs: ["pit"] });
    for (const key of ["pit", "publish", "uids", "limits", "container"] as const)
      expect(bare[key]).toEqual(shown[key]);
    const expected = { ...shown.agents.get("allegro")?.limits, runMs: bare.limits.runMs };
    expect(bare.agents.get("one")?.limits).toEqual(expected);
  });
});

describe("faults", () => {
  test("are all reported at once, each with its path and what would be right", () => {
    const text = [
      BASICS.replace("}", ", pol: 1m}"),
      "queue: http://localhost:6379/0",
      "limits: {cells: many, run: 90, keep: 0, ttl: 1h30m, disk: 10}",
      "pit: 30s",
      "colour: red",
      'agents: {allegro: {preset: hermes, network: internet, env: KEY}, Ezra: {command: "./run"}, kimi: {}}',
    ].join("\n");
    expect(faults(text)).toEqual(
      expect.arrayContaining([
        "forge.pol: is not a key; did you mean poll?",
        "queue: it is not local, or the address of a Redis such as redis://host:6379/0 or rediss://host:6380/0",
        'limits.cells: "many" is not a whole number from 1 on',
        "limits.run: 90 is not a duration such as 90s, 15m, 4h or 2d, longer than 0",
        'limits.ttl: "1h30m" is not a duration such as 90s, 15m, 4h or 2d, longer than 0',
        "limits.disk: 10 is not a size such as 512KB, 100MB or 2GB",
        'pit: "30s" is not a section of keys',
        'agents.allegro.network: "internet" is not one of none, full, or a list of hosts',
        'agents.allegro.env: "KEY" is not a list of names of environment variables',
        'agents.Ezra: "Ezra" is not a name of lower-case letters, digits and -, a letter first, at most 32',
        "agents.kimi: needs a preset or a command",
      ]),
    );
    expect(
      faults(text).some((each) =>
        each.startsWith("colour: is not a key; here may stand server, forge, data,"),
      ),
    ).toBe(true);
  });

  const network = (value: string) => `${BASICS}agents: {allegro: {preset: hermes, network: ${value}}}`;

  test.each([
    ["none", "none"],
    ["full", "full"],
    ["[]", "none"],
    ["[api.anthropic.com, 'models.lan:8000', '*.example.org', '*.example.org:8443']", null],
    [
      "['127.0.0.1:11434', 'localhost:11434', '[::1]:11434', '10.0.0.7:80', my_host, 'host.docker.internal:11434']",
      null,
    ],
    ["[API.Anthropic.com, api.anthropic.com, api.anthropic.com.]", ["api.anthropic.com"]],
    ["['[0:0::1]:011434']", ["[::1]:11434"]],
  ])("are none in network: %s", (value, expected) => {
    const read = load(network(value)).agents.get("allegro")?.network;
    expect(read).toEqual(expected ?? parse(value));
  });

  test.each([
    ["[none]", '"none" is no host: write network: none, without brackets'],
    ["[Full]", '"Full" is no host: write network: full, without brackets'],
    ["['*']", '"*" is no host: write network: full to let every host through'],
    ["['']", '"" is no host: name one, or take it out'],
    ["['a.org ']", '"a.org " has a space: write "a.org"'],
    ["['localhost: 11434']", '"localhost: 11434" has a space: write "localhost:11434"'],
    ["[localhost: 11434]", '{"localhost":11434} is no host: write "localhost:11434"'],
    ["[11434]", "11434 is no host: write it as a text"],
    ["[null, [a.org]]", 'an empty entry is no host: name one, or take it out; ["a.org"] is no host'],
    ["['https://api.x.org/v1']", '"https://api.x.org/v1" is an address with a scheme: write "api.x.org"'],
    [
      "['http://localhost:11434']",
      '"http://localhost:11434" is an address with a scheme: write "localhost:11434"',
    ],
    ["['https://me:pass@x.org']", '"…@x.org" is an address with a scheme: write "x.org"'],
    ["[api.x.org/v1]", '"api.x.org/v1" has more than a host: write "api.x.org"'],
    ["[10.0.0.0/8]", '"10.0.0.0/8" is a range of addresses: write each as host:port'],
    ["[10.0.0.7]", '"10.0.0.7" needs its port: write "10.0.0.7:PORT"'],
    ["[localhost]", '"localhost" needs its port: write "localhost:PORT"'],
    ["['::1']", '"::1" is an address without its port: write "[::1]:PORT"'],
    ["['[::1]']", '"[::1]" needs its port: write "[::1]:PORT"'],
    ["['2001:db8::1:443x']", '"2001:db8::1:443x" is no host: write an IPv6 address as "[::1]:PORT"'],
    ["['[::ffff:127.0.0.1]:80']", '"[::ffff:127.0.0.1]:80" is an IPv4 address in disguise: write it as IPv4'],
    [
      "['0.0.0.0:11434']",
      '"0.0.0.0:11434" is where a server listens, and no place to reach: write "127.0.0.1:PORT"',
    ],
    ["['[::]:11434']", '"[::]:11434" is where a server listens, and no place to reach: write "[::1]:PORT"'],
    ["['a.org:0']", '"a.org:0" has a port that is not from 1 to 65535'],
    ["['a.org:65536']", '"a.org:65536" has a port that is not from 1 to 65535'],
    ["['a.org:']", '"a.org:" has no port after its colon: write a number from 1 to 65535, or "a.org"'],
    [
      "['a.org:https']",
      '"a.org:https" has no port after its colon: write a number from 1 to 65535, or "a.org"',
    ],
    ["['a.*.org']", '"a.*.org" has a * that is not at its start: write *.host'],
    ["[bücher.de]", '"bücher.de" is no name in ASCII: write "xn--bcher-kva.de"'],
    ["['127.1:8080']", '"127.1:8080" is no name, and no whole IPv4 address: write all four numbers'],
    ["['-a.org']", '"-a.org" is not host, host:port or *.host'],
    [
      "['127.0.0.1:3128']",
      '"127.0.0.1:3128" is where the sandbox\'s own way to listed hosts listens: let it listen on another port',
    ],
    [
      "['localhost:80']",
      '"localhost:80" cannot be opened inside a sandbox: let it listen on a port from 1024 on',
    ],
    [
      "['127.0.0.1:11434 ', none]",
      '"127.0.0.1:11434 " has a space: write "127.0.0.1:11434"; "none" is no host: write network: none, without brackets',
    ],
    [
      "'127.0.0.1:11434'",
      '"127.0.0.1:11434" is not one of none, full, or a list of hosts: write ["127.0.0.1:11434"]',
    ],
    ["no", '"no" is not one of none, full, or a list of hosts'],
    [
      "['127.0.0.1:8420']",
      '"127.0.0.1:8420" is Lazarus\' own port: take it out, heartbeats go by $LAZARUS_ARTIFACTS/heartbeat.json',
    ],
  ])("say of network: %s what to write", (value, fault) => {
    expect(faults(network(value))).toEqual([`agents.allegro.network: ${fault}`]);
  });

  test("keep agents from a forge on loopback, whatever it is called", () => {
    const text = (url: string, entry: string) =>
      network(`['${entry}']`).replace("https://git.example.org", url);
    const fault =
      'agents.allegro.network: "localhost:3000" is the forge itself, which may take an agent there for anybody: take it out';
    expect(faults(text("http://127.0.0.1:3000/git", "localhost:3000"))).toEqual([fault]);
    expect(faults(text("http://127.0.0.1:3000", "localhost:3001"))).toEqual([]);
    expect(faults(text("http://git.lan:3000", "localhost:3000"))).toEqual([]);
  });

  test("stand in the one line of the error, with the file", () => {
    expect(() => load("limits: {cells: 0}\npublish: {skip_ci: perhaps}", { needs: [] })).toThrow(
      /^reading .*lazarus\.yaml: publish\.skip_ci: .*; limits\.cells: 0 is not a whole number from 1 on$/,
    );
  });

  test("say which of the protected paths is no pattern", () => {
    expect(faults(`${BASICS}\npublish: {protected: ["deploy/**", "src/{a,b}"]}`)).toEqual([
      'publish.protected: "src/{a,b}" is not a pattern of paths such as "deploy/**" or "*.tf", with * ? and ** alone (write ? for [ ] { } ! and \\)',
    ]);
    expect(faults(`${BASICS}\npublish: {protected: deploy}`)).toEqual([
      'publish.protected: "deploy" is not a list of patterns of paths such as ["deploy/**", "*.tf"]',
    ]);
  });

  test("never quote a secret", () => {
    const text =
      'forge: {token: [hunter22], webhook_secret: {a: hunter22}, url: "https://me:hunter22@git.example.org", repositories: ["a/b"]}';
    expect(faults(text)).toHaveLength(3);
    expect(faults(text).join()).not.toContain("hunter22");
    expect(faults("forge:\n  token: hunter22\n bad: [").join()).not.toContain("hunter22");
  });

  test("refuse a token that no header can hold, before an error could quote it", () => {
    for (const token of ['"hunter22\\nhunter22"', '"hunter22é"', '"hunter22…"']) {
      const said = faults(BASICS.replace("token: token-of-the-bot", `token: ${token}`));
      expect(said).toEqual(["forge.token: it is not a token on one line, of ASCII characters"]);
    }
  });

  test("name what the command in hand is missing, and only that", () => {
    const missing = (needs: readonly Need[]) => faults("", { needs }).map((each) => each.split(":")[0]);
    expect(missing(["server"])).toEqual([
      "forge.url",
      "forge.token",
      "forge.webhook_secret",
      "forge.repositories",
    ]);
    expect(missing(["forge"])).toEqual(["forge.url", "forge.token"]);
    expect(missing(["pit"])).toEqual([]);
  });

  test.each([
    [
      "token and token_file",
      "forge: {token: a, token_file: b}",
      "forge.token_file: forge.token is given as well: one of them must go",
    ],
    [
      "data in missions",
      "{data: /srv/m/data, missions: /srv/m}",
      'data: "/srv/m/data" lies in missions ("/srv/m"), where nothing but cells may be',
    ],
    [
      "a name in env and set",
      "agents: {a: {preset: aider, env: [K], set: {K: x}}}",
      "agents.a.set: K stands in env, too: one of them must go",
    ],
    [
      "an agent with our names",
      "agents: {a: {preset: aider, set: {LAZARUS_CELL: x}}}",
      "agents.a.set: LAZARUS_CELL is Lazarus' own and no agent's to be given",
    ],
  ])("name a contradiction: %s", (_, text, fault) => {
    expect(faults(text, { needs: ["pit"] })).toEqual([fault]);
  });

  test("keep the forge's token from every agent, whatever its variable is called", () => {
    const text = `${BASICS}agents: {a: {preset: aider, env: [GITEA]}}`;
    expect(faults(text, { env: { GITEA: "token-of-the-bot" } })).toEqual([
      "agents.a.env: GITEA holds a secret of the forge, which no agent is ever given",
    ]);
  });

  test.each([
    ["LAZARUS_ANYTHING", "x", "is Lazarus' own or the machine's, and no agent's to be given"],
    ["PATH", "/bin", "is Lazarus' own or the machine's, and no agent's to be given"],
    ["HOME", "/root", "is Lazarus' own or the machine's, and no agent's to be given"],
    ["GIT_SSH_COMMAND", "x", "is Lazarus' own or the machine's, and no agent's to be given"],
    ["SSH_AUTH_SOCK", "/x", "is Lazarus' own or the machine's, and no agent's to be given"],
    ["IN_SET", "x", "stands in set, too: one of them must go"],
    ["KEY", "x", "stands in an agent's env, so it is a secret: one of them must go"],
    ["URL", "http://x/?t=token-of-the-bot&", "holds a secret of the forge, which no agent is ever given"],
    ["PROXY", "http://me:hunter22@proxy:3128", "holds a password: write it in env"],
    ["PROXY", "me:hunter22@proxy:3128", "holds a password: write it in env"],
  ])("refuse to pass %s through for everybody to see", (name, value, what) => {
    const others = "b: {preset: aider, env: [KEY]}";
    const text = `${BASICS}agents: {a: {preset: aider, pass: [${name}], set: {IN_SET: x}}, ${others}}`;
    expect(faults(text, { env: { [name]: value } })).toEqual([`agents.a.pass: ${name} ${what}`]);
  });

  test("hold the names of env's values, unless one is another secret too", () => {
    const text = `${BASICS}agents: {a: {preset: aider, env: [NODE_ENV, KEY, URL], set: {HTTP_PROXY: "http://u:pass%2Fword1@h"}}}`;
    const env = { NODE_ENV: "production", KEY: "key-in-a-url", URL: "redis://:key-in-a-url@h/0" };
    const { secrets, envSecrets } = load(text, { env });
    expect(envSecrets).toEqual([
      { name: "NODE_ENV", value: "production" },
      { name: "URL", value: env.URL },
    ]);
    expect(secrets).toEqual(
      expect.arrayContaining(["production", "key-in-a-url", "pass%2Fword1", "pass/word1"]),
    );
  });

  test.each(["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])("know the password of %s", (name) => {
    const { secrets } = load(BASICS, { env: { [name]: "http://me:p%40ssword1@proxy:3128" } });
    expect(secrets).toEqual(expect.arrayContaining(["p%40ssword1", "p@ssword1"]));
    expect(load(BASICS, { env: { [name]: "http://proxy:3128" } }).secrets).not.toContain("proxy");
    const known = (value: string) => load(BASICS, { env: { [name]: value } }).secrets;
    expect(known("http://a-token-alone-0123@proxy")).toContain("a-token-alone-0123");
    expect(known("http://somebody@proxy")).not.toContain("somebody");
    expect(known("me:hunter22-x@proxy:3128")).toContain("hunter22-x");
  });

  test("know what a home template logs in with, and let nobody let that go", () => {
    mkdirSync(join(dir, "template/claude"), { recursive: true });
    writeFileSync(join(dir, "template/claude/.credentials.json"), '{"accessToken": "token-of-claude"}');
    const text = `${BASICS}agents: {a: {preset: aider, home: template, env: [KEY]}}`;
    const { secrets, envSecrets } = load(text, { env: { KEY: "token-of-claude" } });
    expect(secrets).toContain("token-of-claude");
    expect(envSecrets).toEqual([]);
  });

  test("pass a variable through that is no secret, and name those that are not set", () => {
    const text = `${BASICS}agents: {a: {preset: aider, pass: [NODE_ENV, TZ], env: [KEY]}}`;
    const { agents, secrets } = load(text, { env: { NODE_ENV: "production", KEY: "key-of-the-model" } });
    expect(agents.get("a")).toMatchObject({ pass: { NODE_ENV: "production" }, unsetPass: ["TZ"] });
    expect(secrets).toContain("key-of-the-model");
    expect(secrets).not.toContain("production");
  });

  test.each([
    ["broken YAML", "forge: [1,", /line/],
    ["a key twice", "data: /a\ndata: /b", /unique/],
    ["a list", "- a", /not a mapping/],
    ["aliases that multiply", bomb(), /alias/i],
    ["too large a file", `# ${"x".repeat(1024 * 1024)}`, /larger than 1 MiB/],
  ])("name an unreadable file: %s", (_, text, expected) => {
    expect(faults(text).join()).toMatch(expected);
  });
});

function bomb(): string {
  const rows = Array.from(
    { length: 9 },
    (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`,
  );
  return ["a0: &a0 [x, x]", ...rows].join("\n");
}

describe("where values come from", () => {
  test("looks at --config, then LAZARUS_CONFIG, then ./lazarus.yaml, and does without a file", () => {
    for (const name of ["one", "two", "lazarus"]) writeFileSync(join(dir, `${name}.yaml`), `data: /${name}`);
    const env = { LAZARUS_CONFIG: "two.yaml" };
    const dataDir = (options: object) =>
      loadConfig({ env: {}, cwd: dir, needs: ["pit"], ...options }).dataDir;
    expect(dataDir({ env, file: "one.yaml" })).toBe("/one");
    expect(dataDir({ env })).toBe("/two");
    expect(dataDir({})).toBe("/lazarus");
    expect(() => dataDir({ file: "three.yaml" })).toThrow(/three\.yaml cannot be read: no such file/);
  });

  test("reads JSON", () => {
    expect(load('{"data": "/srv/data", "limits": {"cells": 2}}', { needs: [] })).toMatchObject({
      dataDir: "/srv/data",
      limits: { cells: 2 },
    });
  });

  test("replaces a variable where it is needed, and ignores it where it is not", () => {
    const text = 'forge: {token: "x-${TOKEN}"}\ndata: ${DATA}';
    expect(faults(text, { needs: ["pit"] })).toEqual(["data: ${DATA} is not set in the environment"]);
    expect(load(text, { needs: ["pit"], env: { DATA: "/srv" } })).toMatchObject({
      dataDir: "/srv",
      forge: { token: "" },
    });
    expect(
      load(BASICS.replace("token-of-the-bot", '"x-${TOKEN}"'), { env: { TOKEN: "123" } }).forge.token,
    ).toBe("x-123");
    expect(faults("data: ${DATA:-x}", { needs: [] })).toEqual([
      'data: "${DATA:-x}" is not a reference to a variable: write ${NAME}',
    ]);
  });

  test("lets LAZARUS_ variables win, and blames them by their name", () => {
    const env = {
      LAZARUS_FORGE_TOKEN: "other",
      LAZARUS_LISTEN: "[::1]:0",
      LAZARUS_MISSIONS: "cells",
      LAZARUS_DATA: "",
    };
    const config = load(BASICS.replace("token: token-of-the-bot", "token_file: nowhere"), { env });
    expect(config).toMatchObject({
      forge: { token: "other" },
      server: { host: "::1", port: 0, url: "http://[::1]:0" },
    });
    expect(config).toMatchObject({ missionsDir: join(dir, "cells"), dataDir: "/var/lib/lazarus" });
    expect(faults(BASICS, { env: { LAZARUS_LISTEN: "8420" } })).toEqual([
      'LAZARUS_LISTEN: "8420" is not host:port, such as 127.0.0.1:8420 or [::1]:8420',
    ]);
  });

  test("reads secrets from files beside the configuration, without the newline at their end", () => {
    writeFileSync(join(dir, "token"), "from a file \r\n");
    const text = BASICS.replace("token: token-of-the-bot", "token_file: ./token");
    expect(load(text).forge.token).toBe("from a file ");
    expect(load(text).secrets).toContain("from a file ");
    rmSync(join(dir, "token"));
    expect(faults(text)).toEqual(['forge.token_file: "./token" cannot be read: no such file']);
    expect(faults(text, { needs: ["pit"] })).toEqual([]);
  });

  test("takes several webhook secrets while they rotate", () => {
    expect(load(BASICS.replace("hook-secret", "[new-one, old-one]")).forge.webhookSecrets).toEqual([
      { pattern: "*", secret: "new-one" },
      { pattern: "*", secret: "old-one" },
    ]);
    expect(faults(BASICS.replace("hook-secret", "[]"))[0]).toMatch(/^forge\.webhook_secret: is empty/);
  });
});

describe("a webhook secret for each pattern", () => {
  const many = (text: string) => BASICS.replace("webhook_secret: hook-secret", text);

  test("is taken from the file, and from files", () => {
    writeFileSync(join(dir, "dev.secret"), "of-dev\n");
    const text = many(
      'webhook_secrets: {"acme/*": [new-one, old-one], acme/my.app: of-app}, webhook_secrets_file: {"dev/*": ./dev.secret}',
    );
    const config = load(text);
    expect(config.forge.webhookSecrets).toEqual([
      { pattern: "acme/*", secret: "new-one" },
      { pattern: "acme/*", secret: "old-one" },
      { pattern: "acme/my.app", secret: "of-app" },
      { pattern: "dev/*", secret: "of-dev" },
    ]);
    expect(config.secrets).toEqual(expect.arrayContaining(["new-one", "old-one", "of-app", "of-dev"]));
  });

  test.each([
    ['webhook_secrets: {"acme/*": hunter22, "dev/*": hunter22}', "no two of them the same"],
    ["webhook_secrets: {acme: hunter22}", "is not a secret for each owner/repo"],
    ["webhook_secrets: {}", "is not a secret for each owner/repo"],
    ['webhook_secret: hunter22, webhook_secrets: {"acme/*": other}', "must go"],
    ['webhook_secrets: {"acme/*": a}, webhook_secrets_file: {"acme/*": b}', "has it as well"],
    ['webhook_secrets_file: {"acme/*": ./gone}', "cannot be read"],
  ])("is refused without a quote: %s", (text, words) => {
    expect(faults(many(text)).join()).toContain(words);
    expect(faults(many(text)).join()).not.toContain("hunter22");
  });

  test("is no agent's to be given, nor is the token that reads rights", () => {
    const given = many('rights_token: of-rights, webhook_secrets: {"acme/*": of-acme}');
    for (const value of ["of-acme", "of-rights"])
      expect(faults(`${given}agents: {a: {command: [x], args: [${value}], backend: process}}`)).not.toEqual(
        [],
      );
    expect(load(given).secrets).toContain("of-rights");
    expect(load(given).forge.rightsToken).toBe("of-rights");
  });
});

describe("agents", () => {
  const agent = (text: string) => {
    const config = load(`agents: {a: ${text}}`, { needs: ["agents"] });
    return { ...config.agents.get("a"), notices: config.notices };
  };

  test("are meant for the sandbox when they say nothing, which is remembered", () => {
    const { backend, isDefaultBackend, unavailable, brief, notices } = agent("{preset: codex}");
    expect({ backend, isDefaultBackend, unavailable, brief }).toEqual({
      backend: "sandbox",
      isDefaultBackend: true,
      unavailable: null,
      brief: null,
    });
    expect(notices).toEqual([]);
    expect(agent("{preset: codex, backend: process}")).toMatchObject({
      backend: "process",
      isDefaultBackend: false,
    });
  });

  test("have a model, and words of the operator's own for the preset's command", () => {
    expect(agent("{preset: codex}")).toMatchObject({ model: null, args: [] });
    expect(agent('{preset: opencode, model: "local/qwen3:30b", args: ["--variant", "high"]}')).toMatchObject({
      model: "local/qwen3:30b",
      args: ["--variant", "high"],
    });
  });

  test.each([
    ["preset: claude, model: --yolo", 'model: "--yolo" is not a model\'s name, such as'],
    ['preset: claude, model: "a b"', 'model: "a b" is not a model\'s name, such as'],
    ["preset: opencode, model: gpt", 'model: "gpt" is not provider/model, as opencode wants it'],
    ["preset: claude, args: --debug", 'args: "--debug" is not a list of words'],
    [
      "preset: claude, args: [hook-secret]",
      "args: holds a secret of the forge, which no agent is ever given",
    ],
    [
      "preset: claude, command: [x], model: opus",
      "model: is for a preset's command: name it in command instead",
    ],
    ["command: [x], args: [--debug]", "args: is for a preset's command: add the words to command instead"],
  ])("are refused where their words do not hold: {%s}", (text, fault) => {
    expect(faults(`${BASICS}agents: {a: {${text}}}`)).toEqual([expect.stringContaining(`agents.a.${fault}`)]);
  });

  test("find their program beside the file, or on the PATH", () => {
    expect(agent('{command: ["./bin/agent", "./x"]}')).toMatchObject({
      command: [join(dir, "bin/agent"), "./x"],
      brief: "stdin",
    });
    expect(agent("{command: [node, x]}").command).toEqual(["node", "x"]);
  });

  test("cannot be summoned without the home they are given", () => {
    expect(agent("{preset: aider, home: ./homes/a}").unavailable).toBe(
      "its home template cannot be read: no such file",
    );
  });
});

describe("proxies", () => {
  const env = {
    HTTPS_PROXY: "http://upper:1",
    https_proxy: "lower:2",
    NO_PROXY: "a.org, .b.org,c.org:8443 [::1] 10.0.0.1",
  };
  test.each([
    ["https://git.example.org/x", "http://lower:2"],
    ["http://git.example.org/x", null],
    ["https://a.org", null],
    ["https://x.a.org", null],
    ["https://xa.org", "http://lower:2"],
    ["https://x.b.org", null],
    ["https://c.org", "http://lower:2"],
    ["https://c.org:8443", null],
    ["https://[::1]:3000", null],
    ["https://10.0.0.1", null],
  ])("sends %s by %s", (url, proxy) => {
    expect(load("", { needs: [], env }).proxyFor(new URL(url))).toBe(proxy);
  });

  test("agents get the absolute directories of our PATH", () => {
    expect(load("", { needs: [], env: { PATH: "/a:.:b::/c" } }).childPath).toBe("/a:/c");
  });
});

describe("a runner on another host", () => {
  const RUNNER: Given = { needs: ["agents", "runner"] };
  const JOIN = "runner: {join: a-line}\n";

  test("reads where its Redis is, and hides the password", () => {
    const config = load(`queue: "redis://r1:a-pass%20word@redis.example.org/2"\n${JOIN}`, RUNNER);
    const password = "a-pass word";
    expect(config.queue).toEqual({
      ...{ kind: "redis", host: "redis.example.org", port: 6379, db: 2, isTls: false, user: "r1", password },
      ...{ ca: null, prefix: null },
    });
    expect(config.secrets).toEqual(expect.arrayContaining([password, "a-line"]));
  });

  test("must not have a secret of the forge, and needs a Redis and a line to join with", () => {
    const forge = "forge: {token: a-token, webhook_secret_file: ./x}\n";
    expect(faults(forge, { ...RUNNER, env: { LAZARUS_WEBHOOK_SECRET: "a-secret" } })).toEqual([
      expect.stringMatching(/^LAZARUS_FORGE_TOKEN|^forge\.token: must not be on a runner, where agents run/),
      expect.stringMatching(/webhook_secret|WEBHOOK_SECRET/i),
      expect.stringContaining("runner.join: is missing: the line that `lazarus runner add NAME` prints"),
      expect.stringContaining("queue: is local: a runner needs the Redis of its control"),
    ]);
  });

  test.each([
    ["redis://host:6379/0?x=1", "queue: it is not local, or the address of a Redis"],
    ["redis://host/none", "queue: it is not local, or the address of a Redis"],
  ])("takes no address such as %s", (queue, what) => {
    expect(faults(`queue: "${queue}"\n${JOIN}`, RUNNER).join()).toContain(what);
  });

  test("says that certificates cannot be read", () => {
    const text = `queue: rediss://host:6380/0\nqueue_ca_file: ./none.pem\n${JOIN}`;
    expect(faults(text, RUNNER)).toEqual(["queue_ca_file: cannot be read: no such file"]);
  });
});

describe("where seals are kept", () => {
  const KEYS = "seals_key_id: an-id\nseals_secret: a-secret-of-s3\n";
  const SERVER: Given = { needs: ["agents"] };

  test("may be on runners alone, or a directory as well", () => {
    expect(load("seals: runner", SERVER).seals).toBeNull();
    expect(load("seals: /var/seals", SERVER).seals).toEqual({ kind: "directory", dir: "/var/seals" });
    expect(load("seals: ./seals", SERVER).seals).toMatchObject({
      dir: expect.stringMatching(/^\/.*\/seals$/),
    });
  });

  test("may be a bucket, whose secret is hidden", () => {
    const config = load(
      `seals: s3://a-bucket/team-a/seals/\n${KEYS}seals_endpoint: https://s3.lan:9000/`,
      SERVER,
    );
    expect(config.seals).toEqual({
      ...{ kind: "s3", bucket: "a-bucket", prefix: "team-a/seals/", endpoint: "https://s3.lan:9000" },
      ...{ region: "us-east-1", isPathStyle: true, keyId: "an-id", secret: "a-secret-of-s3", ca: null },
    });
    expect(config.secrets).toContain("a-secret-of-s3");
    const aws = `seals: s3://a.bucket\n${KEYS}seals_region: eu-central-1`;
    expect(load(aws, SERVER).seals).toMatchObject({ prefix: "", endpoint: null, isPathStyle: false });
  });

  test.each([
    "s3://",
    "s3://A_Bucket",
    "s3://bucket/../other",
    "s3://bucket//x",
    "s3://user:pass@bucket/x",
    "S3://bucket",
    "https://s3.example.org/bucket",
    "gs://bucket",
  ])("is not %s", (seals) => {
    expect(faults(`seals: "${seals}"\n${KEYS}`, SERVER)).toEqual([
      expect.stringMatching(/^seals: .* is not runner, a directory of this host .*, or a bucket such as s3:/),
    ]);
  });

  test("needs a key, which is looked for where a command needs it alone", () => {
    const text = "seals: s3://bucket\nseals_ca_file: ./none.pem";
    expect(faults(text, SERVER)).toEqual([
      "seals_key_id: is missing: the access key of the bucket that seals names",
      "seals_secret: is missing: the secret of that access key (or seals_secret_file)",
      "seals_ca_file: cannot be read: no such file",
    ]);
    const secret = "seals: s3://bucket\nseals_key_id: ${NOT_SET}\nseals_secret: ${NOT_SET}";
    expect(load(secret, { needs: ["pit"] }).seals).toMatchObject({ bucket: "bucket" });
  });

  test("names no secret on a runner, where agents run", () => {
    const text = "queue: redis://h:1/0\nrunner: {join: a-line}\nseals: s3://bucket\nseals_secret: x";
    expect(faults(text, { needs: ["agents", "runner"] })).toEqual([
      expect.stringMatching(/^seals_secret: must not be on a runner, where agents run/),
    ]);
  });

  test("says which keys do not hold where there is no bucket", () => {
    expect(load(`seals: /var/seals\n${KEYS}`, SERVER).notices).toEqual([
      "seals_key_id: does not hold, seals names no bucket",
      "seals_secret: does not hold, seals names no bucket",
    ]);
  });
});
