import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Stage } from "../e2e/stage.ts";
import type { PretendedModel } from "./model/server.ts";
import { PROFILES } from "./profiles.ts";
import { type Installed, packagesDir } from "./programs.ts";

/** A repository whose test fails until there is a greeting. */
const FILES = {
  "package.json": `${JSON.stringify({ name: "app", type: "module", scripts: { test: "node --test" } })}\n`,
  "greet.test.js": [
    'import assert from "node:assert";',
    'import { test } from "node:test";',
    'import { greet } from "./greet.js";',
    'test("greets", () => assert.equal(greet("you"), "Hello, you"));',
    "",
  ].join("\n"),
};

export interface Scene {
  readonly backend: string;
  /** Where the agents are installed. */
  readonly dir: string;
  readonly model: PretendedModel;
  readonly installed: readonly Installed[];
  say(line: string): void;
}

/** A forge and a Lazarus whose agents are the real ones, each also with a short clock. */
export async function setStage(scene: Scene): Promise<Stage> {
  const { backend, dir, model, installed } = scene;
  const stage = await Stage.set({ agents: {}, files: FILES, serve: false });
  const agents: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  for (const { name } of installed) {
    const profile = PROFILES[name](`${model.url}/${name}-${backend}`);
    const home = join(stage.lazarus.dir, "homes", name);
    await writeHome(home, profile.home);
    Object.assign(secrets, profile.env);
    const agent = {
      ...{ preset: name, backend, home, env: Object.keys(profile.env), set: profile.set },
      ...(profile.model === undefined ? {} : { model: profile.model }),
      ...(backend === "sandbox"
        ? { paths: [packagesDir(dir)], network: [new URL(model.url).host] }
        : { network: "full" }),
    };
    agents[name] = { ...agent, limits: { run: "5m" } };
    agents[`${name}-hasty`] = { ...agent, limits: { run: "40s" } };
  }
  await stage.reconfigure({
    agents,
    limits: { grace: "2s", revives: 0, cells: 50, per_repository: 50, per_person: 50 },
  });
  await stage.lazarus.serve({ env: secrets }).catch(async (error: unknown) => {
    await stage.strike();
    throw error;
  });
  scene.say(`${stage.server.name} ${stage.server.version} and a Lazarus with the ${backend} are up`);
  return stage;
}

async function writeHome(home: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(home, { recursive: true });
  await chmod(home, 0o755);
  for (const [path, text] of Object.entries(files)) {
    const file = join(home, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}
