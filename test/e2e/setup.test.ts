import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { Stage, type Thread } from "./stage.ts";

/** A registry of packages on loopback, and a directory where tests say that something may go on. */
let registry: Server;
let port: number;
let flags: string;
const asked: string[] = [];

beforeAll(async () => {
  flags = mkdtempSync(join(tmpdir(), "lazarus-setup-"));
  // Cells' own users look into it.
  chmodSync(flags, 0o755);
  registry = createServer((request, answer) => {
    asked.push(request.url ?? "");
    answer.end("left-pad\n");
  });
  registry.listen(0, "127.0.0.1");
  await once(registry, "listening");
  port = (registry.address() as AddressInfo).port;
});
afterAll(() => {
  registry?.close();
  rmSync(flags, { recursive: true, force: true });
});

/** Fetches what the tests need, as `npm ci` does; says so where it may not. */
const FETCH = `const [, , url, into] = process.argv;
fetch(url).then(async (answer) => {
  const text = await answer.text();
  require("node:fs").mkdirSync("node_modules", { recursive: true });
  require("node:fs").writeFileSync(into, text);
  console.log("fetched " + text.trim());
}, (error) => { console.log("not fetched: " + (error.cause?.code ?? error.message)); process.exitCode = 1; });
`;
const FILES = { "src.txt": "one\n", ".gitignore": "node_modules/\n", "fetch.cjs": FETCH };

/** Needs what only the setup can fetch; tries to fetch something itself. */
const worker = (url: string) => `set -u
node fetch.cjs ${url}/by-the-agent node_modules/mine
cat node_modules/dep > dep.txt || exit 7
git add dep.txt
git commit --quiet -m "use what was fetched"`;
const WAITER = 'while [ ! -e "$LAZARUS_ARTIFACTS/go" ]; do sleep 0.1; done; echo waited > waited.txt';

async function summon(stage: Stage, agent: string, repo = stage.repo): Promise<Thread> {
  const issue = await stage.openIssue(`A task for ${agent}`, { repo });
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  return issue;
}

describe("a cell is set up", () => {
  let stage: Stage;
  const flag = (name: string) => join(flags, name);
  const waitsFor = (name: string) => `while [ ! -e ${flag(name)} ]; do sleep 0.1; done`;

  beforeAll(async () => {
    const setup = { run: `node fetch.cjs http://127.0.0.1:${port}/dep node_modules/dep`, limit: "2m" };
    stage = await Stage.set({
      files: FILES,
      limits: { per_repository: 1 },
      agents: { worker: worker(`http://127.0.0.1:${port}`), waiter: WAITER },
      checks: {
        "acme/app": { setup },
        "acme/broken": { setup: `cat ${flag("mended")}; ${setup.run}` },
        "acme/slow": { setup: { run: "echo begun; sleep 600", limit: "2s" } },
        "acme/held": { setup: `${waitsFor("held")}; ${setup.run}` },
        "acme/own": { from: "branch", setup: { limit: "1m" } },
      },
    });
    for (const name of ["broken", "slow", "held"])
      await stage.createRepository(`acme/${name}`, { files: FILES });
    await stage.createRepository("acme/own", {
      files: { ...FILES, ".lazarus.yml": "setup: echo version one\n" },
    });
  });
  afterAll(() => stage?.strike());

  it("before the first turn, not before the second, and again after it came back from the archive", async () => {
    asked.length = 0;
    const issue = await summon(stage, "worker");
    await stage.card(issue, /1 commit, 1 file[\s\S]*→ draft #\d+/);
    const cellId = await stage.cellId(issue);
    expect(await stage.lazarus.readCell(cellId, "logs/setup-1.log")).toBe("fetched left-pad\n");
    expect(await stage.status(cellId)).toMatchObject({ setup: { run: 1, code: 0, failed: null } });
    const { stdout } = await stage.lazarus.cli("logs", cellId, "--setup");
    expect(stdout).toBe("fetched left-pad\n");

    await stage.type(stage.dev, issue, "/lazarus revive");
    await until("the second run is over", async () => {
      const { runs, state } = await stage.status(cellId);
      return runs === 2 && state === "idle";
    });
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "**closed by lead**: published as");
    await stage.type(stage.lead, issue, "/lazarus revive");
    await until("the third run is over", async () => {
      const { runs, state } = await stage.status(cellId);
      return runs === 3 && state === "idle";
    });
    expect(asked.filter((url) => url === "/dep")).toHaveLength(2);
    expect(await stage.lazarus.readCell(cellId, "logs/setup-3.log")).toBe("fetched left-pad\n");
  });

  it("or not: the card shows how that ended, whoever asked is told, and a revive tries again", async () => {
    const issue = await summon(stage, "worker", "acme/broken");
    const card = await stage.card(issue, "**worker's cell could not be set up**: exit 1 after");
    expect(card).toMatch(/The end of the setup[\s\S]*No such file or directory/);
    expect(await stage.reply(issue, "could not be set up")).toMatch(/^@dev: cell .* needs you/);
    const cellId = await stage.cellId(issue);
    expect(await stage.status(cellId)).toMatchObject({ state: "idle", outcome: "failed", runs: 1 });
    expect(existsSync(join(stage.lazarus.missionsDir, cellId, "logs/worker-1.log"))).toBe(false);
    await stage.type(stage.dev, issue, "/lazarus logs");
    await stage.reply(issue, "No such file or directory", 2);

    writeFileSync(flag("mended"), "");
    await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.card(issue, /1 commit, 1 file[\s\S]*→ draft #\d+/);
  });

  it("for no longer than its limit", async () => {
    const issue = await summon(stage, "worker", "acme/slow");
    await stage.card(issue, "**worker's cell could not be set up**: over its limit of 2s after");
    const log = await stage.lazarus.readCell(await stage.cellId(issue), "logs/setup-1.log");
    // Some shells say how their child ended.
    expect(log).toMatch(/^begun\n(Terminated\n)?$/);
  });

  it("while its server is killed and started again", async () => {
    const issue = await summon(stage, "worker", "acme/held");
    await stage.card(issue, "**worker's cell is being set up**");
    await stage.lazarus.end("SIGKILL");
    await stage.lazarus.serve();
    expect(stage.lazarus.readyLine).toContain("1 cell adopted");
    writeFileSync(flag("held"), "");
    await stage.card(issue, /1 commit, 1 file[\s\S]*→ draft #\d+/);
  });

  it("until somebody stops or closes it", async () => {
    rmSync(flag("held"), { force: true });
    const issue = await summon(stage, "worker", "acme/held");
    await stage.card(issue, "**worker's cell is being set up**");
    await stage.type(stage.dev, issue, "/lazarus stop");
    await stage.card(issue, "**worker did not start**: stopped by dev while its cell was being set up");
    await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.card(issue, "**worker's cell is being set up**");
    await stage.type(stage.lead, issue, "/lazarus close");
    await stage.card(issue, "**closed by lead**: not published");
  });

  it("with the repository's own command, as it was at the pinned commit, though the branch changed meanwhile", async () => {
    const first = await summon(stage, "waiter", "acme/own");
    await stage.card(first, "**waiter is working**");
    const second = await summon(stage, "waiter", "acme/own");
    await stage.card(second, "**waiter waits for a place**");
    const text = "setup: echo version two\n";
    const { admin } = stage.server;
    const old = await stage.server.api(admin, "GET", "/repos/acme/own/contents/.lazarus.yml?ref=main");
    const { sha } = old.json as { sha: string };
    const content = Buffer.from(text).toString("base64");
    const put = { branch: "main", content, sha, message: "another setup" };
    expect((await stage.server.api(admin, "PUT", "/repos/acme/own/contents/.lazarus.yml", put)).status).toBe(
      200,
    );
    const go = async (at: Thread) =>
      writeFileSync(join(stage.lazarus.missionsDir, await stage.cellId(at), "artifacts/go"), "");
    await go(first);
    await stage.card(second, "**waiter is working**");
    expect(await stage.lazarus.readCell(await stage.cellId(second), "logs/setup-1.log")).toBe(
      "version one\n",
    );
    await go(second);
    await stage.card(second, /→ draft #\d+/);
  });
});

describe("in a sandbox", needs("sandbox"), () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await Stage.set({
      files: FILES,
      agents: { worker: worker(`http://127.0.0.1:${port}`) },
      agentMore: { backend: "sandbox", network: "none", paths: ["./agents"] },
      checks: {
        "acme/*": {
          setup: {
            run: `node fetch.cjs http://127.0.0.1:${port}/dep node_modules/dep; ls -a ~; echo "key: $KEY"`,
            network: [`127.0.0.1:${port}`],
          },
        },
      },
    });
  });
  afterAll(() => stage?.strike());

  it("a setup reaches the registry that its agent may not, and sees nothing of that agent's home", async () => {
    asked.length = 0;
    const issue = await summon(stage, "worker");
    await stage.card(issue, /1 commit, 1 file[\s\S]*→ draft #\d+/);
    const cellId = await stage.cellId(issue);
    expect(await stage.lazarus.readCell(cellId, "logs/setup-1.log")).toBe("fetched left-pad\n.\n..\nkey: \n");
    expect(await stage.lazarus.readCell(cellId, "logs/worker-1.log")).toContain("not fetched: ECONNREFUSED");
    expect(asked).toEqual(["/dep"]);
  });
});
