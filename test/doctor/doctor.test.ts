import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGroups } from "../../src/backends/os/groups/find-groups.ts";
import { Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

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

/** What `doctor --json` finds with this on top of a sound configuration. */
async function examined(
  more: Readonly<Record<string, unknown>> = {},
  how: { repositories?: string[]; directors?: string[]; token?: string } = {},
): Promise<{ code: number | null; findings: Found[]; of(what: string): Found[] }> {
  const { lazarus, server, bot, repo } = stage;
  await lazarus.configure({
    ...{ forgeUrl: server.url, token: how.token ?? bot.token, agents: { plain: "true" } },
    ...{ repositories: how.repositories ?? [repo], directors: how.directors ?? [] },
    more: { server: { listen: lazarus.listen }, limits: { free: "1MB" }, ...more },
  });
  await chmod(lazarus.configPath, 0o600);
  const { code, stdout, stderr } = await lazarus.cli("doctor", "--json");
  expect(stderr).toBe("");
  const { findings } = JSON.parse(stdout) as { findings: Found[] };
  return { code, findings, of: (what) => findings.filter((one) => one.what.startsWith(what)) };
}

const agent = (backend?: string) => ({
  agents: { plain: { command: ["/bin/true"], ...(backend === undefined ? {} : { backend }) } },
});

describe("the doctor", () => {
  it("finds nothing wrong where all is well, and agents cannot get out", needs("sandbox"), async () => {
    const { code, findings, of } = await examined(agent());
    expect(findings.filter((one) => one.level === "FAIL")).toEqual([]);
    expect(code).toBe(0);
    for (const what of [
      "node",
      "git",
      "better-sqlite3",
      "configuration",
      "data",
      "missions",
      "backend sandbox",
    ])
      expect(of(what)[0]?.level).toBe("ok");
    expect(of("forge")[0]?.detail).toContain("the token is lazarus's");
    // Nothing serves here that could receive a test delivery.
    expect(of("acme/app")).toMatchObject([
      { level: "ok" },
      { level: "warn", detail: expect.stringContaining("not seen: no server runs here") },
    ]);
    expect(of("attack on sandbox")).toEqual([
      {
        ...{ level: "ok", what: "attack on sandbox" },
        detail:
          "an agent tried to read another cell, the configuration, the environment of Lazarus, and got nothing",
      },
    ]);
    expect((await readdir(stage.lazarus.missionsDir)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("says plainly what an agent can read where it is a plain process with the same rights", async () => {
    const { code, of } = await examined(agent("process"));
    const [found] = of("attack on process");
    if (process.getuid?.() === 0) expect(found?.level).toBe("ok");
    else {
      expect(found?.level).toBe("warn");
      expect(found?.detail).toContain("an agent can read another cell, the configuration");
    }
    expect(code).toBe(0);
  });

  it("fails where an agent with a user of its own can read the configuration", async () => {
    await examined(agent("process"));
    await chmod(stage.lazarus.configPath, 0o644);
    const { code, stdout } = await stage.lazarus.cli("doctor");
    const isRoot = process.getuid?.() === 0;
    expect(stdout).toMatch(
      isRoot
        ? /^FAIL {2}attack on process +AN AGENT COULD READ the configuration/m
        : /^warn {2}attack on process/m,
    );
    expect(code).toBe(isRoot ? 1 : 0);
  });

  it("says what control groups hold here, or what does not hold without them", async () => {
    const { of } = await examined(agent("process"));
    const { check } = await findGroups(stage.lazarus.dir);
    const [told] = of("control groups");
    const held = {
      level: "ok",
      detail: expect.stringContaining("each cell has one, which holds its memory"),
    };
    const lost = { level: "warn", detail: expect.stringContaining("nothing holds all of a cell together") };
    expect(told).toMatchObject(check.ok ? held : lost);
  });

  it("names what is missing on the forge: rights, hooks, teams, repositories", async () => {
    const { server, lead } = stage;
    await stage.createRepository("acme/weak", { bot: "write", hook: null });
    await stage.createRepository("acme/dumb", { hook: null });
    const { code, of } = await examined(agent("process"), {
      repositories: ["acme/weak", "acme/dumb", "acme/gone", "acme/*"],
      directors: [lead.login, "acme/kings"],
    });
    expect(code).toBe(1);
    expect(of("acme/weak")).toMatchObject([
      { level: "FAIL", detail: expect.stringContaining("the bot may not administer it") },
    ]);
    expect(of("acme/dumb")).toMatchObject([
      { level: "ok" },
      { level: "warn", detail: expect.stringContaining("none is set to") },
    ]);
    expect(of("acme/gone")).toMatchObject([{ level: "FAIL" }]);
    expect(of("directors: acme/kings")).toMatchObject([{ level: "warn" }]);
    expect(of("forge")[0]?.detail).toContain(server.url);
  });

  it("says so when the token is not accepted, and does not show it", async () => {
    const { code, findings, of } = await examined(agent("process"), { token: "no-such-token-1234" });
    expect(code).toBe(1);
    expect(of("forge")).toMatchObject([{ level: "FAIL", detail: expect.stringContaining("401") }]);
    expect(JSON.stringify(findings)).not.toContain("no-such-token-1234");
  });

  it("lists every fault of a configuration that does not load, and looks at the machine all the same", async () => {
    const file = join(stage.lazarus.dir, "broken.yaml");
    await writeFile(file, "limits: {cells: none}\nfoo: 1\n");
    const { code, stdout } = await stage.lazarus.cli("--config", file, "doctor");
    expect(code).toBe(1);
    expect(stdout).toMatch(/^ok {4}node /m);
    expect(stdout.match(/^FAIL {2}configuration/gm)?.length).toBeGreaterThan(2);
  });

  it("fails when an agent is bound to a backend that does not work here", async () => {
    const { code, of } = await examined({
      agents: { boxed: { command: ["/bin/true"], backend: "container", image: "localhost/none:0" } },
      container: { engine: "no-such-engine" },
    });
    expect(code).toBe(1);
    expect(of("backend container")).toMatchObject([
      { level: "FAIL", detail: expect.stringContaining("no-such-engine") },
    ]);
  });

  it(
    "looks at each agent: its program, what is around it, and its version in its own sandbox",
    needs("sandbox"),
    async () => {
      const bin = join(stage.lazarus.dir, "bin");
      await mkdir(bin, { recursive: true });
      await chmod(bin, 0o755);
      // It tells what it sees: no key, and nothing of this machine.
      const claude = join(bin, "claude");
      await writeFile(
        claude,
        '#!/bin/sh\necho "3.1.4 [$1][$KEY][$LAZARUS_FORGE_TOKEN]"; ls /root 2>/dev/null; exit 0\n',
      );
      const failing = join(bin, "failing");
      await writeFile(failing, "#!/bin/sh\nexit 1\n");
      for (const program of [claude, failing]) await chmod(program, 0o755);
      const sandboxed = { backend: "sandbox", network: "full" };
      const { code, of } = await examined({
        agents: {
          whole: { ...sandboxed, preset: "claude", command: [claude], paths: [bin], set: { KEY: "set" } },
          hidden: { ...sandboxed, preset: "claude", command: [claude] },
          lost: { ...sandboxed, command: ["no-such-agent"], paths: [join(bin, "none")] },
          homeless: { ...sandboxed, command: ["true"], home: join(bin, "no-home") },
          lacking: {
            ...sandboxed,
            command: ["true"],
            env: ["LAZARUS_TEST_UNSET"],
            network: ["127.0.0.1:9999", "no.invalid"],
          },
          failing: { ...sandboxed, preset: "codex", command: [failing], paths: [bin], set: { KEY: "set" } },
          demo: { backend: "sandbox", preset: "demo" },
          lists: { command: ["true"], backend: "container", image: "x", network: ["a.org"] },
        },
      });
      expect(code).toBe(1);
      expect(of("agent whole")).toEqual([
        { level: "ok", what: "agent whole", detail: `${claude}: 3.1.4 [--version][set][], in its sandbox` },
      ]);
      expect(of("agent hidden")).toMatchObject([
        {
          level: "FAIL",
          detail: expect.stringMatching(
            /cannot be seen inside the sandbox: add its directory to the agent's paths/,
          ),
        },
      ]);
      expect(of("agent lost").map((one) => [one.level, one.detail])).toEqual([
        ["FAIL", expect.stringContaining("no no-such-agent on its PATH")],
        ["FAIL", `paths: ${join(bin, "none")} does not exist`],
      ]);
      expect(of("agent homeless")).toMatchObject([
        { level: "FAIL", detail: "its home template cannot be read: no such file" },
      ]);
      expect(of("agent lacking").map((one) => [one.level, one.detail])).toEqual([
        ["ok", expect.stringMatching(/^true: .*, in its sandbox$/)],
        ["warn", "env: LAZARUS_TEST_UNSET not set where Lazarus runs, so the agent does not get it"],
        ["warn", "network: nobody listens at 127.0.0.1:9999 now: start the model that should"],
        ["warn", "network: no.invalid has no address here"],
      ]);
      expect(of("agent failing")).toMatchObject([
        {
          level: "warn",
          detail: `${failing} --version, run in its sandbox, ended with exit 1. Try it by hand`,
        },
      ]);
      // Its shell may know no --version, and it needs no network.
      expect(of("agent demo")).toMatchObject([{ level: "ok" }]);
      expect(of("agent lists").at(-1)).toMatchObject({ level: "FAIL" });
    },
  );

  it("says that a hook delivers only where a test delivery came", async () => {
    await stage.createRepository("acme/elsewhere", { hook: "http://127.0.0.1:9/webhooks/gitea" });
    const hooks = async () => {
      const { of } = await examined(agent("process"), { repositories: ["acme/app", "acme/elsewhere"] });
      return [...of("acme/app: hook"), ...of("acme/elsewhere: hook")].map((one) => [one.level, one.detail]);
    };
    const ours = stage.hookUrl;
    expect(await hooks()).toEqual([
      ["warn", expect.stringMatching(`^is set to ${ours}, not seen: no server runs here`)],
      ["warn", expect.stringMatching(`^none is set to ${ours}`)],
    ]);
    await stage.lazarus.serve();
    expect(await hooks()).toEqual([
      ["ok", `delivers to ${ours}: a test delivery came`],
      ["warn", expect.stringMatching(`^none is set to ${ours}`)],
    ]);
    await stage.lazarus.end();
    expect((await hooks())[0]).toEqual([
      "ok",
      expect.stringMatching(`^delivers to ${ours}: the last one came 20..-.*; no server runs here`),
    ]);
  });

  it("says that a hook is set and not seen where the server knows another secret", async () => {
    await stage.createRepository("acme/other-secret", { hook: null });
    await stage.server.createHook("acme/other-secret", stage.hookUrl, "some-other-secret");
    const { of } = await examined(agent("process"), { repositories: ["acme/other-secret"] });
    await stage.lazarus.serve();
    const { stdout } = await stage.lazarus.cli("doctor", "--json");
    await stage.lazarus.end();
    expect(of("acme/other-secret: hook")).toHaveLength(1);
    const found = (JSON.parse(stdout) as { findings: Found[] }).findings.find((one) =>
      one.what.endsWith(": hook"),
    );
    expect(found).toMatchObject({
      level: "warn",
      detail: expect.stringMatching(
        /not seen: a test delivery did not come within 10 s.*a secret that is not/,
      ),
    });
  });

  it("has serve say in one line of each agent that it cannot work", async () => {
    await examined({
      agents: {
        plain: { command: ["true"], backend: "process" },
        lost: { command: ["no-such-agent"], backend: "process" },
      },
    });
    await stage.lazarus.serve();
    await until("it was said", () => stage.lazarus.log.includes("an agent cannot work as it is configured"));
    await stage.lazarus.end();
    const said = stage.lazarus.log
      .split("\n")
      .filter((line) => line.includes("cannot work as it is configured"));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/lost.*no no-such-agent on its PATH|no no-such-agent on its PATH.*lost/);
  });
});
