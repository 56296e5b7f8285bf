import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage } from "../e2e/stage.ts";
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
    expect(of("acme/app").map((one) => one.level)).toEqual(["ok", "ok"]);
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
      { level: "warn", detail: expect.stringContaining("none delivers to") },
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
});
