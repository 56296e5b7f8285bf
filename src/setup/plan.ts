import { existsSync } from "node:fs";
import { matches } from "../commands/rights.ts";
import { EVERYTHING, type HookSecret } from "../config/hook-secrets.ts";
import type { Repository } from "../gitea/port.ts";
import type { AgentHere } from "./agents-here.ts";
import { sectionOf } from "./agents-here.ts";
import { type FormWay, readSecret } from "./answers.ts";
import {
  asWritten,
  changeStep,
  configStep,
  configText,
  newSecret,
  replaceSecret,
  secretFileStep,
  secretPath,
} from "./files.ts";
import { type ForgeSteps, formStep, HOOK_PATH, handsOn, hookStep, labelSteps } from "./forge-steps.ts";
import type { Wanted } from "./gather.ts";
import { issueStep, knowsLogin, type LoginFound, loginStep } from "./more-steps.ts";
import type { SetupRecord } from "./record.ts";
import { accountStep, peopleSteps, type RightsAccount } from "./rights.ts";
import { type Step, yours } from "./step.ts";

export interface Plan {
  readonly steps: readonly Step[];
  readonly hookUrl: string | null;
  /** All that verify deliveries of a repository; the first signs. */
  secretsOf(fullName: string): readonly string[];
  /** The thread that was opened for people to try it; null: none. */
  thread(): string | null;
}

export interface Wishes {
  readonly form: FormWay;
  readonly login: boolean;
  readonly issue: boolean;
  readonly rights: RightsAccount;
  /** Where no sandbox works here, the demo agent is a plain process: it is our own script. */
  readonly hasSandbox: boolean;
}

/** Everything that is to be there, in the order in which it is made. Changes nothing. */
export async function plan(wanted: Wanted, record: SetupRecord, wishes: Wishes): Promise<Plan> {
  const files = fileSteps(wanted, record, wishes);
  const secretsOf = (fullName: string) =>
    files.secrets
      .filter((one) => one.pattern === EVERYTHING || matches(one.pattern, fullName))
      .map((one) => one.secret);
  const hookUrl = wanted.hasHook ? `${wanted.serverUrl}${HOOK_PATH}` : null;
  const { rights } = wishes;
  const steps = [...files.steps];
  if (wanted.account.isSiteAdmin)
    steps.push(
      yours(
        `account ${wanted.account.login}`,
        "it administers the whole forge, and need not: take that away",
      ),
    );
  for (const repository of wanted.repositories) {
    const at = stepsOn(repository, wanted, { record, rights });
    steps.push(...(await peopleSteps({ ...wanted, rights, bot: wanted.account.login }, repository)));
    const [secret = ""] = secretsOf(repository.fullName);
    if (hookUrl !== null) steps.push(await hookStep(at, { url: hookUrl, secret }));
    steps.push(...(await labelSteps(at)));
    const form = await formStep(at, wishes.form);
    if (form !== null) steps.push(form);
  }
  let login: LoginFound | null = null;
  if (wishes.login && knowsLogin()) {
    const to = { serverUrl: wanted.serverUrl, clientId: wanted.clientId };
    const made = await loginStep({ ...wanted, record }, { ...to, take: (found) => (login = found) });
    steps.push(made);
    if (made.run !== undefined) steps.push(loginFileStep(wanted, record, () => login));
  }
  let thread: string | null = null;
  const [first] = wanted.repositories;
  if (wishes.issue && first !== undefined) {
    const at = stepsOn(first, wanted, { record, rights });
    const agents = [...(wanted.config?.agents.keys() ?? []), ...wanted.agents.map((one) => one.name)];
    steps.push(
      issueStep(at, {
        bot: wanted.account.login,
        agents: [...new Set(agents)],
        take: (found) => (thread = found),
      }),
    );
  }
  return { steps, hookUrl, secretsOf, thread: () => thread };
}

/** One repository, and as whom set-up looks and makes there. */
export function stepsOn(
  repository: Repository,
  { forge, admin, publicUrl }: Pick<Wanted, "forge" | "admin" | "publicUrl">,
  { record, rights }: { record: SetupRecord; rights: RightsAccount },
): ForgeSteps {
  const other = rights.kind === "known" ? rights.forge : null;
  const hands = handsOn(repository, { forge, admin, rights: other });
  const { mine } = repository;
  const sees = mine.pull ? forge : (admin ?? forge);
  // An administrator lets the bot in before anything else is made there.
  const later = admin === null ? repository : { ...repository, mine: { ...mine, push: true } };
  return { forge, sees, publicUrl, record, repository: later, hands };
}

function fileSteps(
  wanted: Wanted,
  record: SetupRecord,
  wishes: Wishes,
): { steps: Step[]; secrets: readonly HookSecret[] } {
  const { file, config } = wanted;
  const sections = sectionsOf(wanted.agents, wishes);
  const rights = rightsFile(wanted, record, wishes);
  if (config !== null) {
    const missing = Object.entries(sections).filter(([name]) => !config.agents.has(name));
    const known = config.forge.repositories.map((one) => one.toLowerCase());
    const more = wanted.patterns.filter((one) => !known.includes(one.toLowerCase()));
    const changes: (readonly [readonly string[], unknown])[] = missing.map(
      ([name, section]) => [["agents", name], section] as const,
    );
    if (more.length > 0)
      changes.push([
        ["forge", "repositories"],
        [...config.forge.repositories, ...more],
      ]);
    if (rights.path !== null) changes.push([["forge", "rights_token_file"], asWritten(rights.path, file)]);
    const there: Step = { what: `file ${file}`, state: "there", detail: "" };
    const own = changes.length === 0 ? there : changeStep(record, file, changes);
    return {
      steps: [...rights.steps, own],
      secrets: config.forge.webhookSecrets,
    };
  }
  const tokenFile = wanted.tokenFile ?? secretPath(file, "forge-token");
  const secretFile = secretPath(file, "webhook-secret");
  const secret = existsSync(secretFile)
    ? readSecret(secretFile, "the secret of an earlier run")
    : newSecret();
  const text = configText({
    ...{ listen: listenText(wanted.listen), url: wanted.serverUrl, forgeUrl: wanted.forgeUrl },
    publicUrl: wanted.publicUrl === wanted.forgeUrl ? null : wanted.publicUrl,
    ...{ tokenFile: asWritten(tokenFile, file), secretFile: asWritten(secretFile, file) },
    rightsTokenFile: rights.path === null ? null : asWritten(rights.path, file),
    ...{ repositories: wanted.patterns, agents: sections },
    ...{ data: asWritten(wanted.dataDir, file), missions: asWritten(wanted.missionsDir, file) },
  });
  return {
    steps: [
      ...(wanted.tokenFile === null ? [secretFileStep(record, tokenFile, wanted.token)] : []),
      secretFileStep(record, secretFile, secret),
      ...rights.steps,
      configStep(record, file, text),
    ],
    secrets: [{ pattern: EVERYTHING, secret }],
  };
}

/** The file with the rights account's token, where `lazarus.yaml` is still to name it, and what makes it. */
function rightsFile(
  { file, admin, open }: Wanted,
  record: SetupRecord,
  { rights }: Wishes,
): { readonly path: string | null; readonly steps: readonly Step[] } {
  const kept = secretPath(file, "rights-token");
  if (rights.kind === "make" && admin !== null)
    return { path: kept, steps: [accountStep({ admin, file, open }, rights.login, record)] };
  if (rights.kind !== "known" || rights.isInFile) return { path: null, steps: [] };
  if (rights.file !== null) return { path: rights.file, steps: [] };
  return { path: kept, steps: [secretFileStep(record, kept, rights.token)] };
}

function sectionsOf(agents: readonly AgentHere[], { hasSandbox }: Wishes): Record<string, unknown> {
  return Object.fromEntries(
    agents.map((one) => [one.name, sectionOf(one, one.name === "demo" && !hasSandbox ? "process" : null)]),
  );
}

function listenText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Writes down what the forge tells once. */
function loginFileStep(wanted: Wanted, record: SetupRecord, found: () => LoginFound | null): Step {
  const path = secretPath(wanted.file, "login-secret");
  return {
    ...{ what: `login in ${wanted.file}`, state: "change", detail: "client_id, client_secret_file" },
    async run() {
      const made = found();
      if (made === null) return "the forge made no application: the token may not (write:user)";
      replaceSecret(record, path, made.clientSecret);
      const section = { client_id: made.clientId, client_secret_file: asWritten(path, wanted.file) };
      await changeStep(record, wanted.file, [[["login"], section]]).run?.();
      return undefined;
    },
  };
}
