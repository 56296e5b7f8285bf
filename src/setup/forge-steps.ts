import type { Repository, RepositoryName } from "../gitea/port.ts";
import { parseRepositoryName } from "../gitea/port.ts";
import type { HookThere, SetupForge } from "../gitea/setup-calls.ts";
import type { FormWay } from "./answers.ts";
import { FORM_PATH, formText } from "./form.ts";
import type { SetupRecord } from "./record.ts";
import { making, type Step, there, yours, yoursAsAdmin } from "./step.ts";

export const HOOK_PATH = "/webhooks/gitea";

/** The labels that people and the form give issues. */
export const LABELS = [
  { name: "lazarus", color: "#5319e7", description: "A mission proposal, or an issue with a cell" },
  { name: "lazarus/waiting", color: "#fbca04", description: "A person is waited for" },
] as const;

/** Fine names of events that a server lists for the coarse ones that are asked for. */
const NEEDED_EVENTS = ["push", "issues", "issue_comment", "pull_request", "pull_request_comment"];

export interface ForgeSteps {
  /** As the bot. */
  readonly forge: SetupForge;
  /** Who looks before anything is made: the bot, or an administrator where it sees nothing yet. */
  readonly sees: SetupForge;
  readonly record: SetupRecord;
  readonly repository: Repository;
  /** Where browsers reach the forge. */
  readonly publicUrl: string;
  readonly hands: Hands;
}

/** As whom set-up looks at hooks and makes them: the forge lets administrators alone. */
export interface Hands {
  readonly looks: SetupForge;
  /** Null: nobody does in this run. */
  readonly makes: SetupForge | null;
}

/** `admin`: an administrator for this run; `rights`: an account that administers, and may only read. */
export function handsOn(
  { mine }: Pick<Repository, "mine">,
  by: { readonly forge: SetupForge; readonly admin: SetupForge | null; readonly rights: SetupForge | null },
): Hands {
  const makes = by.admin ?? (mine.admin ? by.forge : null);
  return { makes, looks: makes ?? by.rights ?? by.forge };
}

export const nameOf = ({ fullName }: Repository): RepositoryName => {
  const name = parseRepositoryName(fullName);
  if (name === null) throw new Error(`${fullName} is no name of a repository`);
  return name;
};

/** One step for the hook that delivers to `url` with `secret`. */
export async function hookStep(at: ForgeSteps, to: { url: string; secret: string }): Promise<Step> {
  const { record, repository } = at;
  const { looks, makes } = at.hands;
  const name = nameOf(repository);
  const what = `hook on ${repository.fullName}`;
  const hooks = await looks.hooks(name);
  if (hooks === null) return yoursAsAdmin(what, needsAdmin(at));
  const own = hooks.filter((hook) => hook.url === to.url);
  const [hook] = own;
  const like = { kind: "hook" as const, repository: repository.fullName, name: to.url };
  if (hook === undefined) {
    if (makes === null) {
      const page = `${at.publicUrl}/${repository.fullName}/settings/hooks/gitea/new`;
      const how = `or add one to ${to.url} at ${page} (docs/connect.md, step 5)`;
      return yoursAsAdmin(what, `only an administrator makes it: ${WITH_TOKEN}, ${how}`);
    }
    return {
      ...{ what, state: "make", detail: `to ${to.url}` },
      async run() {
        await making(record, { ...like, id: null }, async () => (await makes.createHook(name, to)).id);
        return undefined;
      },
    };
  }
  // Begun by an earlier run that was killed: it is ours.
  const kept = record.find(like);
  if (kept !== null && "id" in kept && kept.id === null) record.keep({ ...like, id: hook.id });
  if (own.length > 1)
    return yours(what, `${own.length} hooks deliver to ${to.url}: remove all but one of them`);
  if (!hook.isJson) return yours(what, `hook ${hook.id} does not send JSON: remove it, and run setup again`);
  const lacks = lackOf(hook);
  if (lacks === "") return there(what, `to ${to.url}`);
  if (makes === null) {
    const page = `${at.publicUrl}/${repository.fullName}/settings/hooks/${hook.id}`;
    return yoursAsAdmin(what, `${lacks}: ${WITH_TOKEN}, or mend it at ${page}`);
  }
  return {
    ...{ what, state: "change", detail: lacks },
    run: async () => void (await makes.mendHook(name, hook.id)),
  };
}

/** What a hook lacks, in words; empty: nothing. */
export function lackOf({ isActive, events }: HookThere): string {
  const missing = NEEDED_EVENTS.filter((event) => !events.includes(event));
  const active = isActive ? [] : ["it was switched off"];
  const lacks = missing.length === 0 ? [] : [`events ${missing.join(", ")} were missing`];
  return [...active, ...lacks].join("; ");
}

/** Puts a hook of ours in the place of one with another secret: a forge changes none. */
export async function replaceHook(
  { forge, record, repository }: Pick<ForgeSteps, "forge" | "record" | "repository">,
  to: { url: string; secret: string },
): Promise<void> {
  const name = nameOf(repository);
  const like = { kind: "hook" as const, repository: repository.fullName, name: to.url };
  for (const hook of (await forge.hooks(name)) ?? [])
    if (hook.url === to.url) await forge.deleteHook(name, hook.id);
  await making(record, { ...like, id: null }, async () => (await forge.createHook(name, to)).id);
}

/** What a person does who has an administrator's token. */
const WITH_TOKEN = "run setup again with the token of one (--admin-token-file FILE)";

/** Where a person says who may do what on a repository. */
export function peoplePage(
  { publicUrl }: { readonly publicUrl: string },
  { fullName }: Pick<Repository, "fullName">,
): string {
  return `${publicUrl}/${fullName}/settings/collaboration`;
}

/** What a person does where no account of ours administers a repository. */
function needsAdmin(at: ForgeSteps): string {
  const page = peoplePage(at, at.repository);
  const { looks, makes } = at.hands;
  const again = `make it an Administrator at ${page}, and run setup again`;
  if (makes !== null) return `the account of the administrator's token does not administer it: ${again}`;
  if (looks !== at.forge) return `the account of forge.rights_token does not administer it: ${again}`;
  const first = "add a second account as Administrator";
  return `the bot does not administer it: ${first} at ${page} and give its token (--rights-token-file FILE), or make the bot one; then run setup again`;
}

export async function labelSteps({ forge, sees, record, repository }: ForgeSteps): Promise<Step[]> {
  const name = nameOf(repository);
  // A lent token may not read labels: where the bot sees nothing yet, it looks just before it makes them.
  const isSeen = sees === forge;
  const known = isSeen ? await forge.labels(name) : [];
  return LABELS.map((label) => {
    const what = `label ${label.name} on ${repository.fullName}`;
    const like = { kind: "label" as const, repository: repository.fullName, name: label.name };
    const found = known.find((one) => one.name === label.name);
    if (found !== undefined) {
      const kept = record.find(like);
      if (kept !== null && "id" in kept && kept.id === null) record.keep({ ...like, id: found.id });
      return there(what);
    }
    if (!repository.mine.push) return yours(what, "the bot may not write to it");
    return {
      ...{ what, state: "make" as const, detail: "" },
      async run() {
        const isThere = !isSeen && (await forge.labels(name)).some((one) => one.name === label.name);
        if (isThere) return "it was there";
        await making(record, { ...like, id: null }, async () => (await forge.createLabel(name, label)).id);
        return undefined;
      },
    };
  });
}

const FORM_BRANCH = "lazarus-mission-form";
const FORM_TITLE = "Add the form of mission proposals";

/** The form on the default branch: by a pull request that people merge, or by one commit. */
export async function formStep(at: ForgeSteps, way: FormWay): Promise<Step | null> {
  const { forge, sees, record, repository } = at;
  const name = nameOf(repository);
  const what = `mission form on ${repository.fullName}`;
  if (way === "none") return null;
  if (repository.isEmpty) return yours(what, "it has no commit yet: push one, and run setup again");
  const found = await sees.file(name, FORM_PATH);
  if (found !== null) return there(what, FORM_PATH);
  if (repository.isArchived || repository.isMirror || !repository.mine.push)
    return yours(what, "nothing can be pushed to it");
  const file = { path: FORM_PATH, text: formText(), message: FORM_TITLE };
  const { fullName } = repository;
  if (way === "commit") {
    return {
      ...{ what, state: "make", detail: `one commit on ${repository.defaultBranch}` },
      async run() {
        record.keep({ kind: "commit", repository: fullName, name: FORM_PATH, id: null });
        await forge.commitFile(name, { ...file, newBranch: null });
        return undefined;
      },
    };
  }
  const like = { kind: "pull-request" as const, repository: fullName, name: FORM_BRANCH };
  const base = repository.defaultBranch;
  const open = await sees.pullOf(name, FORM_BRANCH, base);
  if (open !== null) {
    const kept = record.find(like);
    if (kept !== null && "id" in kept && kept.id === null) record.keep({ ...like, id: open.number });
    return there(what, `merge ${fullName}#${open.number}`);
  }
  return {
    ...{ what, state: "make", detail: "by a pull request" },
    async run() {
      let number = 0;
      await making(record, { ...like, id: null }, async () => {
        if (!(await forge.hasBranch(name, FORM_BRANCH)))
          await forge.commitFile(name, { ...file, newBranch: FORM_BRANCH });
        const body = "`lazarus setup` proposes this form. Merge it, and people can file mission proposals.";
        const pull = { head: FORM_BRANCH, base, title: FORM_TITLE, body };
        number = (await forge.openPull(name, pull)).number;
        return number;
      });
      return `merge ${fullName}#${number}`;
    },
  };
}
