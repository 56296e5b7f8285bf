import { join } from "node:path";
import { sleep, systemClock, toIso } from "../clock.ts";
import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import type { Forge, Hook, RepositoryName } from "../gitea/port.ts";
import { peekFact } from "../store/db.ts";
import { isAtWork } from "../store/lock.ts";
import { heardName } from "../webhooks/heard.ts";
import { type Finding, finding } from "./finding.ts";

const HOOK_PATH = "/webhooks/gitea";
const LOOK_MS = 100;
const PATIENCE_MS = 10_000;
/** The server writes down no more than one a second. */
const APART_MS = 1_000;

/** As whom hooks are looked at, and a test delivery is asked for: only administrators may. */
export interface HookEyes {
  readonly forge: Pick<Forge, "hooks">;
  /** Null: nobody may ask for one. */
  readonly tests: Pick<Forge, "testHook"> | null;
}

/**
 * Whether deliveries of a repository arrive: the forge is asked for a test delivery, and a server that runs
 * here for whether it came. Without a server nobody could receive one, and none is asked for.
 */
export async function examineHook(by: HookEyes, name: RepositoryName, config: Config): Promise<Finding> {
  const { forge, tests } = by;
  const fullName = `${name.owner}/${name.name}`;
  const what = `${fullName}: hook`;
  const ours = `${config.server.url}${HOOK_PATH}`;
  const hook = (await forge.hooks(name))?.find((each) => each.url === ours);
  if (hook === undefined) {
    const why = "one of the organization or the whole forge is not seen from here";
    return finding("warn", what, `none is set to ${ours} (${why}): docs/connect.md, step 5`);
  }
  if (!hook.isActive) return finding("warn", what, `the one to ${ours} is not active: switch it on`);
  if (!isServing(config.dataDir)) return unserved({ what, ours }, lastHeard(config, fullName));
  if (tests === null) return untested({ what, ours }, lastHeard(config, fullName));
  const failure = await test({ forge: tests, name, hook, config });
  if (failure === null) return finding("ok", what, `delivers to ${ours}: a test delivery came`);
  return finding("warn", what, `is set to ${ours}, not seen: ${failure}`);
}

/** What is to be said where no server runs. */
function unserved({ what, ours }: { what: string; ours: string }, last: number | null): Finding {
  const rest =
    "no server runs here that could receive a test delivery: start `lazarus serve`, then ask again";
  if (last === null) return finding("warn", what, `is set to ${ours}, not seen: ${rest}`);
  return finding("ok", what, `delivers to ${ours}: the last one came ${toIso(last)}; ${rest}`);
}

/** What is to be said where no account of ours may ask for a test delivery. */
function untested({ what, ours }: { what: string; ours: string }, last: number | null): Finding {
  if (last !== null) return finding("ok", what, `delivers to ${ours}: the last one came ${toIso(last)}`);
  const rest = "push a commit or open an issue, and ask again";
  return finding("warn", what, `is set to ${ours}, and nothing came yet: ${rest}`);
}

/** Null where it came; else why not, and what to do. */
async function test(at: {
  readonly forge: Pick<Forge, "testHook">;
  readonly name: RepositoryName;
  readonly hook: Hook;
  readonly config: Config;
}): Promise<string | null> {
  const { forge, name, hook, config } = at;
  const fullName = `${name.owner}/${name.name}`;
  const since = systemClock.now() - APART_MS;
  try {
    await forge.testHook(name, hook.id);
  } catch (error) {
    return `the forge sends no test delivery: ${explain(error)}`;
  }
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    if ((lastHeard(config, fullName) ?? 0) >= since) return null;
    await sleep(systemClock, LOOK_MS);
  }
  return (
    `a test delivery did not come within ${PATIENCE_MS / 1_000} s. The hook's list of deliveries on the forge says why: ` +
    "a private address that Gitea may not deliver to (docs/connect.md, step 5), a secret that is not the one of forge.webhook_secret(s) for it, " +
    "a hook without the event push, or a repository without a commit"
  );
}

/** Epoch ms; null where none ever came. */
function lastHeard(config: Config, fullName: string): number | null {
  const value = peekFact(join(config.dataDir, "lazarus.db"), heardName(fullName));
  return value === null ? null : Number(value);
}

function isServing(dataDir: string): boolean {
  try {
    return isAtWork(dataDir);
  } catch {
    // Said elsewhere: the directory cannot be used.
    return false;
  }
}
