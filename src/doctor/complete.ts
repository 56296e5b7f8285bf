import type { Config } from "../config/config.ts";
import type { RepositoryName } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { HOOK_PATH, LABELS, lackOf } from "../setup/forge-steps.ts";
import { type Finding, finding } from "./finding.ts";

const LENT = "lazarus setup --admin-token-file FILE mends that";
const CURE = "lazarus doctor --fix mends that";

interface HookHands {
  readonly looks: Pick<SetupForge, "hooks">;
  /** Null: the bot may mend none. */
  readonly makes: unknown;
}

/** Whether the hook of a repository sends all that is needed, once, as JSON. Silent where it does. */
export async function examineHookEvents(
  { looks, makes }: HookHands,
  name: RepositoryName,
  { server }: Pick<Config, "server">,
): Promise<Finding[]> {
  const what = `hook events of ${name.owner}/${name.name}`;
  const url = `${server.url}${HOOK_PATH}`;
  const ours = ((await looks.hooks(name)) ?? []).filter((one) => one.url === url);
  const [hook] = ours;
  if (hook === undefined) return [];
  if (ours.length > 1)
    return [finding("warn", what, `${ours.length} hooks deliver to ${url}: remove all but one of them`)];
  if (!hook.isJson)
    return [finding("FAIL", what, `hook ${hook.id} does not send JSON: remove it, and run lazarus setup`)];
  const lacks = lackOf(hook);
  return lacks === "" ? [] : [finding("warn", what, `${lacks}: ${makes === null ? LENT : CURE}`)];
}

/** Whether the labels that people and the mission form use are there. Silent where they are. */
export async function examineLabels(
  forge: Pick<SetupForge, "labels">,
  name: RepositoryName,
): Promise<Finding[]> {
  const known = await forge.labels(name);
  const missing = LABELS.filter((one) => !known.some((each) => each.name === one.name));
  if (missing.length === 0) return [];
  const names = missing.map((one) => one.name).join(", ");
  return [finding("warn", `labels of ${name.owner}/${name.name}`, `${names} missing: ${CURE}`)];
}
