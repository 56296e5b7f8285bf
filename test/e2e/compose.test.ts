import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type E2eServer, serverFromEnvironment } from "./servers.ts";
import { freePort } from "./stage.ts";

const ROOT = resolve(import.meta.dirname, "../..");

interface Service {
  readonly image?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly network_mode?: string;
  readonly ports?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly volumes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

describe("docker-compose.yml", () => {
  const text = readFileSync(join(ROOT, "docker-compose.yml"), "utf8");
  const { services, volumes } = parse(text) as {
    readonly services: Readonly<Record<string, Service>>;
    readonly volumes: Readonly<Record<string, null>>;
  };
  const all = Object.values(services);

  it("names no service, volume or file that is missing", () => {
    const named = all.flatMap((one) => [
      ...Object.keys(one.depends_on ?? {}),
      ...(one.network_mode === undefined ? [] : [one.network_mode.replace("service:", "")]),
    ]);
    expect(named.filter((name) => services[name] === undefined)).toEqual([]);
    const sources = all.flatMap((one) => (one.volumes ?? []).map((volume) => volume.split(":")[0] ?? ""));
    const missing = sources.filter((source) =>
      source.startsWith("./") ? !existsSync(join(ROOT, source)) : !(source in volumes),
    );
    expect(missing).toEqual([]);
  });

  it("gives `init` the sandbox that Lazarus has, since it chooses the demo agent's backend", () => {
    expect(services.lazarus?.security_opt).toHaveLength(3);
    expect(services.init?.security_opt).toEqual(services.lazarus?.security_opt);
  });

  it("has a network held by a service that does nothing: the end of another would cut Lazarus off", () => {
    expect(Object.keys(services).filter((name) => services[name]?.ports !== undefined)).toEqual(["net"]);
    const apart = Object.keys(services).filter((name) => services[name]?.network_mode !== "service:net");
    expect(apart).toEqual(["net", "admin"]);
  });

  it("has no blank in a word of a health check: podman 4 takes it apart there", () => {
    const words = all.flatMap((one) => one.healthcheck?.test ?? []);
    expect(words.length).toBeGreaterThan(0);
    expect(words.filter((word) => word.includes(" "))).toEqual([]);
  });

  it("asks for three lines of .env and nothing else", () => {
    const asked = [...new Set([...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name))].sort();
    const given = [...readFileSync(join(ROOT, ".env.example"), "utf8").matchAll(/^(\w+)=/gm)];
    expect(given.map(([, name]) => name).sort()).toEqual(asked);
    expect(asked).toHaveLength(3);
  });
});

describe("its first start", () => {
  let server: E2eServer;
  let dir: string;
  let port: number;
  beforeAll(async () => {
    server = await serverFromEnvironment();
    dir = await mkdtemp(join(tmpdir(), "lazarus compose-"));
    await chmod(dir, 0o711);
    port = await freePort();
  });
  afterAll(async () => {
    await server?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  async function start() {
    const { login, password, token } = server.admin;
    const tokenFile = join(dir, "setup.token");
    await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
    const env = {
      ...{ PATH: "/usr/bin:/bin", HOME: dir, HOME_DIR: dir, TOKEN_FILE: tokenFile },
      ...{ ADMIN: login, ADMIN_PASSWORD: password, LAZARUS_BIN: join(ROOT, "bin/lazarus.js") },
      ...{ FORGE_URL: server.url, LAZARUS_URL: `http://127.0.0.1:${port}` },
    };
    const script = join(ROOT, "contrib/compose/first-start.mjs");
    const child = spawn(process.execPath, [script], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    return { code, said, isTokenThere: existsSync(tokenFile) };
  }

  it("makes a repository and a Lazarus that a signed delivery reaches, and does no more the next time", async () => {
    const first = await start();
    expect(first.said).toContain("✓ delivery");
    expect(first).toMatchObject({ code: 0, isTokenThere: false });
    const file = join(dir, "lazarus.yaml");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const config = parse(await readFile(file, "utf8")) as {
      readonly server: { readonly listen: string };
      readonly forge: { readonly repositories: readonly string[]; readonly rights_token_file?: string };
      readonly agents: object;
    };
    expect(config.server.listen).toBe(`0.0.0.0:${port}`);
    expect(config.forge.repositories).toEqual([`${server.admin.login}/hello`]);
    expect(Object.keys(config.agents)).toEqual(["demo"]);
    const again = await start();
    expect(again).toMatchObject({ code: 0, isTokenThere: false });
    expect(again.said).not.toMatch(/^[+~!]/m);
    expect(again.said).toContain("✓ delivery");
    expect(config.forge).toMatchObject({ rights_token_file: "./secrets/rights-token" });
  });
});
