import { chmodSync } from "node:fs";
import { matches } from "../commands/rights.ts";
import type { Config } from "../config/config.ts";
import { EVERYTHING } from "../config/hook-secrets.ts";
import { explain } from "../errors.ts";
import { parseRepositoryName } from "../gitea/port.ts";
import { openSetupForge } from "../open-forge.ts";
import { HOOK_PATH, handsOn, hookStep, labelSteps } from "../setup/forge-steps.ts";
import { openRecord } from "../setup/record.ts";
import { lineOf, type Step } from "../setup/step.ts";
import { prepareDataDir } from "../store/lock.ts";
import { openFiles } from "./modes.ts";

/**
 * Does what set-up does by itself: closes files with secrets, mends or makes each hook, makes the labels.
 * What it makes is in set-up's record, so `lazarus setup --undo` removes it. Answers a line for each.
 */
export async function mend(config: Config): Promise<string[]> {
  // Nothing else keeps the program while a call waits for its next try.
  const alive = setInterval(() => {}, 1_000);
  try {
    return await mendAll(config);
  } finally {
    clearInterval(alive);
  }
}

async function mendAll(config: Config): Promise<string[]> {
  prepareDataDir(config.dataDir);
  const lines = mendModes(config);
  const record = openRecord(config.dataDir);
  const forge = openSetupForge(config);
  const { publicUrl } = config.forge;
  const by = { forge, admin: null, rights: openSetupForge(config, config.forge.rightsToken) };
  for (const name of config.forge.repositories.flatMap((one) => parseRepositoryName(one) ?? [])) {
    const fullName = `${name.owner}/${name.name}`;
    try {
      const repository = await forge.repository(name);
      if (repository === null) continue;
      const at = { forge, sees: forge, record, repository, publicUrl, hands: handsOn(repository, by) };
      const steps: Step[] = record.hook ? [...(await hookSteps(at, config))] : [];
      for (const step of [...steps, ...(await labelSteps(at))]) {
        if (step.run === undefined) continue;
        await step.run();
        lines.push(lineOf(step, true));
      }
    } catch (error) {
      lines.push(`! yours to do ${fullName}: ${explain(error)}`);
    }
  }
  return lines;
}

async function hookSteps(at: Parameters<typeof hookStep>[0], config: Config): Promise<Step[]> {
  const secret = config.forge.webhookSecrets.find(
    (one) => one.pattern === EVERYTHING || matches(one.pattern, at.repository.fullName),
  )?.secret;
  if (secret === undefined) return [];
  return [await hookStep(at, { url: `${config.server.url}${HOOK_PATH}`, secret })];
}

function mendModes(config: Config): string[] {
  return openFiles(config.file, config.dataDir).map(({ path }) => {
    const step = { what: `mode of ${path}`, state: "change", detail: "0600" } as const;
    try {
      chmodSync(path, 0o600);
      return lineOf(step, true);
    } catch (error) {
      return lineOf({ ...step, state: "yours", detail: explain(error) }, true);
    }
  });
}
