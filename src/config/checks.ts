import { accessSync, constants } from "node:fs";
import { resolve, sep } from "node:path";
import { nearest } from "../nearest.ts";
import { passwordsIn } from "./home-secrets.ts";
import { hookSecretsIn } from "./hook-secrets.ts";
import { REPOSITORIES } from "./kinds.ts";
import { isLoopback, loopbackPort } from "./network.ts";
import { isCheckName, isOurs } from "./repository-checks.ts";
import { AGENT_NAME, CONFIG_KEYS, type FileConfig, fileSchema, show } from "./schema.ts";
import { at, type Environment, isTree, type Need, type Tree, why } from "./source.ts";

type Fault = (path: string, what: string) => void;

/** The file's values in our terms, or null after naming every unknown key and wrong value. */
export function checkSchema(tree: Tree, fault: Fault): FileConfig | null {
  const result = fileSchema.safeParse(tree);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const path = issue.path.join(".");
    if (issue.code !== "unrecognized_keys") fault(path, issue.message);
    else for (const key of issue.keys) fault(path ? `${path}.${key}` : key, unknownKey(path, key));
  }
  return null;
}

function unknownKey(section: string, key: string): string {
  const inTable = section
    .replace(/^agents\.[^.]*/, "agents.NAME")
    .replace(/^checks\..*\.[^.]*$/, "checks.REPOSITORIES.setup");
  const prefix = inTable ? `${inTable}.` : "";
  const siblings = CONFIG_KEYS.filter((each) => each.path.startsWith(prefix)).map(
    (each) => each.path.slice(prefix.length).split(".")[0] ?? "",
  );
  const names = [...new Set(siblings)];
  const meant = nearest(key, names);
  return meant ? `is not a key; did you mean ${meant}?` : `is not a key; here may stand ${names.join(", ")}`;
}

interface Circumstances {
  readonly env: Environment;
  readonly base: string;
  readonly needs: readonly Need[];
  readonly fault: Fault;
}

/** What no single key shows: what is missing for the command in hand, and what contradicts itself. */
export function checkContradictions(tree: Tree, around: Circumstances): void {
  checkForge(tree, around);
  checkDirectories(tree, around);
  checkCommands(tree, around);
  const agents = at(tree, "agents");
  const all = Object.entries(isTree(agents) ? agents : {});
  const hidden = new Set(all.flatMap(([, agent]) => (isTree(agent) ? textsOf(agent.env) : [])));
  for (const [name, agent] of all) {
    // As the logs of a cell's setup and checks are.
    if (name === "setup" || name.startsWith("check-"))
      around.fault(`agents.${name}`, "is how the logs of setups and checks are called: choose another name");
    if (!AGENT_NAME.test(name)) {
      around.fault(
        `agents.${name}`,
        `${show(name)} is not a name of lower-case letters, digits and -, a letter first, at most 32`,
      );
    }
    if (isTree(agent)) checkAgent(`agents.${name}`, agent, { ...around, secrets: secretsOf(tree), hidden });
  }
}

/** What the commands of `checks` lack, and what they must not be given. */
function checkCommands(tree: Tree, around: Circumstances): void {
  const checks = at(tree, "checks");
  for (const [pattern, entry] of Object.entries(isTree(checks) ? checks : {})) {
    const path = `checks.${pattern}`;
    if (!REPOSITORIES.test(pattern)) around.fault(path, `${show(pattern)} is not owner/repo or owner/*`);
    if (!isTree(entry)) continue;
    const { from, ...commands } = entry;
    for (const [name, one] of Object.entries(commands)) {
      if (!isCheckName(name))
        around.fault(`${path}.${name}`, `${show(name)} is not a name of lower-case letters, digits and -`);
      if (isTree(one))
        checkCommand(`${path}.${name}`, { one, from }, { ...around, secrets: secretsOf(tree) });
    }
  }
}

function checkCommand(
  path: string,
  { one, from }: { readonly one: Tree; readonly from: unknown },
  { needs, fault, secrets }: Circumstances & { readonly secrets: ReadonlySet<unknown> },
): void {
  if (needs.includes("agents") && one.run === undefined && from !== "branch")
    fault(`${path}.run`, "is missing: the command, unless from is branch");
  const set = isTree(one.set) ? one.set : {};
  const ours = Object.keys(set).find((name) => isOurs(name));
  if (ours !== undefined) fault(`${path}.set`, `${ours} is Lazarus' own`);
  for (const [name, value] of Object.entries(set))
    if (secrets.has(value))
      fault(`${path}.set`, `${name} holds a secret of the forge, which no cell is ever given`);
}

/** Half of an application is none. */
function checkLogin(
  tree: Tree,
  { isServer, fault }: { readonly isServer: boolean; readonly fault: Fault },
): void {
  if (!isServer) return;
  const [id, secret] = [at(tree, "login.client_id"), at(tree, "login.client_secret")];
  if (id !== undefined && secret === undefined)
    fault("login.client_secret", "is missing: the forge shows it once, when the application is made");
  if (secret !== undefined && id === undefined)
    fault("login.client_id", "is missing: the forge shows it beside the application");
}

function checkForge(tree: Tree, { base, needs, fault }: Circumstances): void {
  const isServer = needs.includes("server");
  const needed: readonly (readonly [path: string, isNeeded: boolean, what: string])[] = [
    [
      "forge.url",
      isServer || needs.includes("forge"),
      "the forge's address, such as https://git.example.org (or LAZARUS_FORGE_URL)",
    ],
    [
      "forge.token",
      isServer || needs.includes("forge"),
      "the token of the bot's own account (or forge.token_file, or LAZARUS_FORGE_TOKEN)",
    ],
    [
      "forge.webhook_secret",
      isServer,
      "there is no start without one (or forge.webhook_secret_file, LAZARUS_WEBHOOK_SECRET, or forge.webhook_secrets)",
    ],
    ["forge.repositories", isServer, 'what is served, such as ["acme/*"]'],
  ];
  checkLogin(tree, { isServer, fault });
  for (const [path, isNeeded, what] of needed) {
    const value = at(tree, path);
    if (Array.isArray(value) && value.length === 0 && isNeeded) fault(path, `is empty: ${what}`);
    const isSecret = path === "forge.webhook_secret";
    const fromFile = at(tree, `${path}_file`) !== undefined || (isSecret && hasHookSecrets(tree));
    if (isSecret && value !== undefined && hasHookSecrets(tree))
      fault(path, "signs for every repository: it, or forge.webhook_secrets, must go");
    if (value === undefined && isNeeded && !fromFile) fault(path, `is missing: ${what}`);
  }
  const ca = at(tree, "forge.ca_file");
  if (typeof ca !== "string" || !String(at(tree, "forge.url")).startsWith("https:")) return;
  try {
    if (needs.includes("forge") || isServer) accessSync(resolve(base, ca), constants.R_OK);
  } catch (error) {
    fault("forge.ca_file", `${show(ca)} cannot be read: ${why(error)}`);
  }
}

function hasHookSecrets(tree: Tree): boolean {
  return ["", "_file"].some((end) => at(tree, `forge.webhook_secrets${end}`) !== undefined);
}

/** Nobody is stalled before he is quiet, where both are written down in one place. */
export function checkSilence(tree: Tree, file: FileConfig, fault: Fault): void {
  const places = [
    { path: "pit", spans: file.pit },
    ...Object.entries(file.agents).map(([name, { limits }]) => ({
      path: `agents.${name}.limits`,
      spans: limits,
    })),
  ];
  for (const { path, spans } of places) {
    const isGiven = at(tree, `${path}.quiet`) !== undefined && at(tree, `${path}.stalled`) !== undefined;
    if (isGiven && (spans.stalled ?? 0) < (spans.quiet ?? 0))
      fault(`${path}.stalled`, `is shorter than ${path}.quiet: what is stalled was quiet before`);
  }
}

/**
 * What listens on loopback takes whoever comes for somebody of this machine. An agent has no business with
 * Lazarus itself there, nor with the forge: it believes its proxy's headers, which say who is logged in.
 */
export function checkLoopback(file: FileConfig, fault: Fault): void {
  const { host, port } = file.server.listen;
  const isHere = isLoopback(host) || host === "0.0.0.0" || host === "::";
  const forge = file.forge.url === undefined ? null : new URL(file.forge.url);
  const networks = [
    ...Object.entries(file.agents).map(([name, { network }]) => [`agents.${name}.network`, network] as const),
    ...Object.entries(file.checks).flatMap(([pattern, { from: _, ...commands }]) =>
      Object.entries(commands).map(
        ([name, one]) => [`checks.${pattern}.${name}.network`, one?.network ?? "none"] as const,
      ),
    ),
  ];
  for (const [path, network] of networks) {
    const ports =
      typeof network === "string" ? [] : network.map((entry) => [entry, loopbackPort(entry)] as const);
    for (const [entry, at] of ports) {
      if (at === null) continue;
      if (isHere && at === port)
        fault(
          path,
          `"${entry}" is Lazarus' own port: take it out, heartbeats go by $LAZARUS_ARTIFACTS/heartbeat.json`,
        );
      if (forge !== null && isLoopback(forge.hostname) && at === portOf(forge))
        fault(path, `"${entry}" is the forge itself, which may take an agent there for anybody: take it out`);
    }
  }
}

function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

/** The missions root holds nothing but cells: all else in it would be a stranger. */
function checkDirectories(tree: Tree, { base, fault }: Circumstances): void {
  const data = at(tree, "data") ?? "/var/lib/lazarus";
  const missions = at(tree, "missions") ?? "/var/missions";
  if (typeof data !== "string" || typeof missions !== "string") return;
  const root = resolve(base, missions);
  const isInside = `${resolve(base, data)}${sep}`.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);
  if (isInside)
    fault("data", `${show(data)} lies in missions (${show(missions)}), where nothing but cells may be`);
}

function secretsOf(tree: Tree): ReadonlySet<unknown> {
  return new Set(
    [
      ...[at(tree, "forge.token"), at(tree, "forge.rights_token"), at(tree, "forge.webhook_secret")].flat(),
      ...hookSecretsIn(tree),
    ].filter((each) => each !== undefined),
  );
}

/** What every agent is told by Lazarus itself, and what none may be told. */
const OURS =
  /^LAZARUS_(CELL|AGENT|ROLE|BRIEF|ARTIFACTS|HEARTBEAT_URL|HEARTBEAT_TOKEN|FORGE_TOKEN|WEBHOOK_SECRET)$/;

/** Decided by Lazarus for each cell; none of them is the same outside of one. */
const NEVER_PASSED =
  /^(LAZARUS_.*|PATH|HOME|HERMES_HOME|PWD|OLDPWD|TMPDIR|USER|LOGNAME|SHELL|GIT_.*|SSH_.*|XDG_.*|LD_.*|DYLD_.*|CREDENTIALS_DIRECTORY|NOTIFY_SOCKET)$/;

interface AgentCircumstances {
  readonly env: Environment;
  readonly secrets: ReadonlySet<unknown>;
  /** Names that stand in any agent's `env`. */
  readonly hidden: ReadonlySet<string>;
  readonly fault: Fault;
}

function checkAgent(path: string, agent: Tree, { env, secrets, hidden, fault }: AgentCircumstances): void {
  if (agent.preset === undefined && agent.command === undefined) fault(path, "needs a preset or a command");
  checkWords(path, agent, { secrets, fault });
  const passed = textsOf(agent.env);
  const set = isTree(agent.set) ? agent.set : {};
  for (const name of [...passed, ...Object.keys(set)]) {
    const from = name in set ? "set" : "env";
    if (OURS.test(name)) fault(`${path}.${from}`, `${name} is Lazarus' own and no agent's to be given`);
    if (secrets.has(from === "set" ? set[name] : env[name])) {
      fault(`${path}.${from}`, `${name} holds a secret of the forge, which no agent is ever given`);
    }
    if (from === "set" && passed.includes(name))
      fault(`${path}.set`, `${name} stands in env, too: one of them must go`);
  }
  checkPassed(path, agent, { env, secrets, hidden, fault });
}

/** What is passed through and shown to everybody must be no secret, as far as can be told. */
function checkPassed(path: string, agent: Tree, { env, secrets, hidden, fault }: AgentCircumstances): void {
  const say = (what: string) => fault(`${path}.pass`, what);
  for (const name of textsOf(agent.pass)) {
    const value = env[name] ?? "";
    const holds = (secret: unknown) => typeof secret === "string" && secret !== "" && value.includes(secret);
    if (NEVER_PASSED.test(name)) say(`${name} is Lazarus' own or the machine's, and no agent's to be given`);
    else if (isTree(agent.set) && name in agent.set) say(`${name} stands in set, too: one of them must go`);
    else if (hidden.has(name))
      say(`${name} stands in an agent's env, so it is a secret: one of them must go`);
    else if ([...secrets].some(holds))
      say(`${name} holds a secret of the forge, which no agent is ever given`);
    else if (passwordsIn(value).length > 0 || /^[^/@\s]+:[^/@\s]+@/.test(value))
      say(`${name} holds a password: write it in env`);
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** What is added to a preset's command has no place in one of the operator's own. */
function checkWords(
  path: string,
  agent: Tree,
  { secrets, fault }: Pick<AgentCircumstances, "secrets" | "fault">,
): void {
  const { preset, command, model, args } = agent;
  if (command !== undefined) {
    if (model !== undefined) fault(`${path}.model`, "is for a preset's command: name it in command instead");
    if (args !== undefined)
      fault(`${path}.args`, "is for a preset's command: add the words to command instead");
  }
  if (preset === "opencode" && typeof model === "string" && !/^[^/]+\/./.test(model))
    fault(`${path}.model`, `${show(model)} is not provider/model, as opencode wants it`);
  if (Array.isArray(args) && args.some((word) => secrets.has(word)))
    fault(`${path}.args`, "holds a secret of the forge, which no agent is ever given");
}
