import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFailed } from "vitest";
import { until } from "../fakes/until.ts";
import { createToken } from "./http-server.ts";
import { giveOwnUids } from "./own-uids.ts";
import { freePort, Stage, seen, type Thread } from "./stage.ts";
import { patternOf, readable, withoutChance } from "./told.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const DOC = readFileSync(join(ROOT, "docs/tutorial.md"), "utf8");

interface Step {
  readonly does: string;
  readonly text: string;
}

/** Every marked block, in order; `stop` has none. */
const STEPS: readonly Step[] = [
  ...DOC.matchAll(/^<!-- tutorial: (.+?) -->\n(?:```\w+\n([\s\S]*?)```$)?/gm),
].map(([, does = "", text = ""]) => ({ does, text }));

let stage: Stage;
let dir: string;
let port: number;
let serving: ChildProcess | null = null;
/** What `lazarus serve` has logged. */
let log = "";

beforeAll(async () => {
  stage = await Stage.set({ serve: false, hook: false });
  port = await freePort();
  dir = mkdtempSync(join(tmpdir(), "lazarus tutorial-"));
  chmodSync(dir, 0o711);
  mkdirSync(join(dir, "bin"));
  symlinkSync(join(ROOT, "bin/lazarus"), join(dir, "bin/lazarus"));
  // The tutorial has the bot's account made.
  await stage.server.api(stage.server.admin, "DELETE", `/admin/users/${stage.bot.login}`);
  const { login, password } = stage.server.admin;
  const named = { name: "tutorial", scopes: ["write:admin", "write:repository", "read:user"] };
  const token = await createToken(stage.server.url, login, password, named);
  writeFileSync(join(dir, "admin-token"), `${token}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await stop();
  await stage?.strike();
  rmSync(dir, { recursive: true, force: true });
});

const HERE = () =>
  [
    ["https://git.example.org", stage.server.url],
    ["http://lazarus.example.org:8420", `http://127.0.0.1:${port}`],
  ] as const;
const here = (text: string) => HERE().reduce((now, [written, is]) => now.replaceAll(written, is), text);
const written = (text: string) => HERE().reduce((now, [is, own]) => now.replaceAll(own, is), text);

function start(command: string): ChildProcess {
  const env = {
    PATH: [join(dir, "bin"), dirname(process.execPath), "/usr/bin", "/bin"].join(delimiter),
    HOME: dir,
  };
  return spawn("bash", ["-c", command], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
}

async function run(command: string): Promise<string> {
  const child = start(command);
  let [out, err] = ["", ""];
  child.stdout?.on("data", (part: Buffer) => (out += part.toString()));
  child.stderr?.on("data", (part: Buffer) => (err += part.toString()));
  const [code] = (await once(child, "close")) as [number];
  expect([command, code, err]).toEqual([command, 0, ""]);
  return out;
}

async function stop(): Promise<void> {
  const child = serving;
  serving = null;
  if (child === null || child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

it("has a step for everything that it shows", () => {
  // What is not done here: installing what this checkout has already.
  const blocks = [...DOC.matchAll(/^```\w+\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
  expect(blocks.filter((text) => !STEPS.some((step) => step.text === text))).toEqual([
    "bash scripts/setup\n",
  ]);
  expect(STEPS.length).toBeGreaterThan(20);
});

it("is as it says, from the first command to the last", async () => {
  onTestFailed(() => void process.stderr.write(log));
  let printed = "";
  let putBack = () => {};
  let at: Thread | null = null;
  // The cell that the tutorial names, and the one that there is.
  let cell = "4f1c0b7e";
  for (const { does, text } of STEPS) {
    const own = here(text).replaceAll("4f1c0b7e", cell);
    const [word = "", name = ""] = does.split(" ");
    if (does === "run") printed = await run(own);
    else if (does === "stop") {
      await stop();
      putBack();
    } else if (does === "start") {
      printed = "";
      putBack = giveOwnUids(join(dir, "lazarus.yaml"));
      serving = start(`exec ${own}`);
      serving.stdout?.on("data", (part: Buffer) => (printed += part.toString()));
      serving.stderr?.on("data", (part: Buffer) => (log += part.toString()));
      await until("it says that it listens", () => printed.includes("\n"));
    } else if (word === "write") writeFileSync(join(dir, name), own);
    else if (name === "types") {
      at ??= await stage.openIssue("Make the parser accept empty input");
      await stage.type(word === "lead" ? stage.lead : stage.dev, at, own.trim());
      if (cell === "4f1c0b7e") cell = (await stage.cellId(at)).slice(0, 8);
    } else {
      const pattern = patternOf(text);
      const thread = at;
      if (does === "prints") expect(`${withoutChance(written(printed))}\n`).toMatch(pattern);
      else if (does === "card" && thread !== null)
        await seen(
          "the card",
          async () => `${withoutChance(readable((await stage.cards(thread)).at(-1)?.body ?? ""))}\n`,
          pattern,
        );
      else throw new Error(`nobody knows how to do: ${does}`);
    }
  }
  expect((await stage.server.pullRequests(stage.repo)).length).toBe(1);
});
