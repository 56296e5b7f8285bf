import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { until } from "../fakes/until.ts";
import { HOOK_SECRET } from "./lazarus.ts";
import { Stage } from "./stage.ts";

let stage: Stage;
const secrets = () => ({
  LAZARUS_FORGE_TOKEN: stage.bot.token,
  LAZARUS_WEBHOOK_SECRET: HOOK_SECRET,
});

/** The token and the secret come from the environment of `serve` alone, as units of systemd give them. */
beforeAll(async () => {
  stage = await Stage.set({ serve: false });
  const { lazarus } = stage;
  const file = parse(await readFile(lazarus.configPath, "utf8")) as { forge: Record<string, unknown> };
  const { token: _token, webhook_secret: _secret, ...forge } = file.forge;
  await writeFile(
    lazarus.configPath,
    stringify({ ...file, forge: { ...forge, token_file: "./not-for-the-command-line" } }),
  );
});
afterAll(() => stage?.strike());

describe("the command line beside a running server", () => {
  it("says what is missing, and asks nothing of anybody, where no server runs", async () => {
    const at = await stage.openIssue("Nobody serves");
    const { code, stderr } = await stage.lazarus.cli("summon", "allegro", `${at.repo}#${at.number}`);
    expect(code).toBe(2);
    expect(stderr).toMatch(/forge\.token|webhook_secret/);
    const jobs = JSON.parse((await stage.lazarus.cli("jobs", "--json")).stdout) as { jobs: unknown[] };
    expect(jobs.jobs).toEqual([]);
  });

  it("summons, waits for the end and closes without the token and the hook's secret", async () => {
    await stage.lazarus.serve({ env: secrets() });
    const at = await stage.openIssue("Asked for beside a server");
    const target = `${at.repo}#${at.number}`;
    const { code, stdout } = await stage.lazarus.cli("summon", "allegro", target, "--wait");
    expect(code).toBe(0);
    expect(stdout).toMatch(/idle +allegro/);
    const cell = await stage.cellId(at);
    expect((await stage.lazarus.cli("close", cell)).code).toBe(0);
    await until("it is archived", async () =>
      (await stage.lazarus.cells()).some((one) => one.id === cell && one.state === "archived"),
    );
  });

  it("says so where the server dies before it answers, and the next one does what was asked for", async () => {
    const { lazarus } = stage;
    const at = await stage.openIssue("Asked for, and then it died");
    process.kill(lazarus.pid ?? 0, "SIGSTOP");
    const asked = lazarus.cli("summon", "allegro", `${at.repo}#${at.number}`);
    await until("it stands in the job log", async () => {
      const { stdout } = await lazarus.cli("jobs", "--json");
      return (JSON.parse(stdout) as { jobs: { kind: string }[] }).jobs.some((one) => one.kind === "command");
    });
    await lazarus.end("SIGKILL");
    const { code, stderr } = await asked;
    expect(code).toBe(2);
    expect(stderr).toContain("the server ended; what you asked for waits in the job log");
    await lazarus.serve({ env: secrets() });
    await stage.card(at, /allegro is done/);
  });
});
