import { CONFIG_KEYS } from "../config/schema.ts";
import { redirectOf } from "../dashboard/place.ts";
import type { OAuthApplication } from "../gitea/setup-calls.ts";
import type { ForgeSteps } from "./forge-steps.ts";
import { nameOf } from "./forge-steps.ts";
import type { Made } from "./record.ts";
import { making, type Step, there, yours } from "./step.ts";

const APPLICATION = "Lazarus";

/** Whether this version has a login through the forge. */
export function knowsLogin(): boolean {
  return CONFIG_KEYS.some((key) => key.path === "login.client_id");
}

export interface LoginFound {
  readonly clientId: string;
  readonly clientSecret: string;
}

/**
 * The OAuth2 application that people sign in with. `clientId`: the one in the file, with its secret; null:
 * none is. `take` is told of both where one is made.
 */
export async function loginStep(
  at: Pick<ForgeSteps, "forge" | "record" | "publicUrl">,
  to: { serverUrl: string; clientId: string | null; take(found: LoginFound): void },
): Promise<Step> {
  const { forge, record } = at;
  const redirect = redirectOf(to.serverUrl);
  const what = `OAuth2 application ${APPLICATION}`;
  const all = await forge.applications();
  const page = `${at.publicUrl}/user/settings/applications`;
  if (all === null) {
    if (to.clientId !== null) return there(what, "in the file; the token may not look at it");
    const how = `as the bot, make a confidential one at ${page} with the redirect URI ${redirect}`;
    return yours(
      what,
      `the token lacks write:user. Either give it that scope, or ${how}, and write login.client_id and login.client_secret_file`,
    );
  }
  const used = all.find((one) => one.clientId === to.clientId);
  if (used?.redirects.includes(redirect)) return there(what, redirect);
  const like = { kind: "application" as const, name: APPLICATION };
  const kept = record.find(like);
  const own = ownOf(all, { kept, redirect });
  if (used !== undefined && used !== own)
    return yours(
      what,
      `${used.name} (${used.clientId}) lacks the redirect URI ${redirect}: add it at ${page}`,
    );
  // Somebody signs in through another account's application, which nobody but that account sees.
  if (to.clientId !== null && kept === null)
    return there(what, `${to.clientId} of the file; it is not the bot's, so its redirect URI is not seen`);
  const stranger = all.find(
    (one) => one !== own && one.name === APPLICATION && one.redirects.includes(redirect),
  );
  if (stranger !== undefined)
    return yours(
      what,
      `one is there (${stranger.clientId}), and its secret is told once: remove it at ${page}, and run setup again`,
    );
  return {
    ...{ what, state: own === undefined ? "make" : "change", detail: redirect },
    async run() {
      // It leads elsewhere now, or was made by a run that was killed before it wrote the secret down, which
      // nobody tells again.
      if (own !== undefined) await forge.deleteApplication(own.id);
      await making(record, { ...like, id: null }, async () => {
        const made = await forge.createApplication(APPLICATION, redirect);
        if (made === null) return null;
        to.take(made);
        return made.id;
      });
      return undefined;
    },
  };
}

/** The one that set-up made; where it was killed before it knew the number, the one that looks like it. */
export function ownOf(
  all: readonly OAuthApplication[],
  by: { readonly kept: Made | null; readonly redirect: string },
): OAuthApplication | undefined {
  if (by.kept?.kind !== "application") return undefined;
  const { id, name } = by.kept;
  if (id !== null) return all.find((one) => one.id === id);
  return all.find((one) => one.name === name && one.redirects.includes(by.redirect));
}

const ISSUE_TITLE = "Lazarus is here";

/** An issue that says who is here, what they do, and how to send them away. */
export function issueStep(
  { forge, record, repository, publicUrl }: ForgeSteps,
  about: { bot: string; agents: readonly string[]; take(thread: string): void },
): Step {
  const what = `issue "${ISSUE_TITLE}" on ${repository.fullName}`;
  const like = { kind: "issue" as const, repository: repository.fullName, name: ISSUE_TITLE };
  const kept = record.find(like);
  if (kept !== null && "id" in kept && kept.id !== null) {
    about.take(`${repository.fullName}#${kept.id}`);
    return there(what, `${publicUrl}/${repository.fullName}/issues/${kept.id}`);
  }
  return {
    ...{ what, state: "make", detail: "who works here, and how to say no" },
    async run() {
      let page = "";
      await making(record, { ...like, id: null }, async () => {
        const body = issueBody(about.bot, about.agents);
        const { number } = await forge.openIssue(nameOf(repository), { title: ISSUE_TITLE, body });
        about.take(`${repository.fullName}#${number}`);
        page = `${publicUrl}/${repository.fullName}/issues/${number}`;
        return number;
      });
      return page;
    },
  };
}

function issueBody(bot: string, agents: readonly string[]): string {
  const first = agents.includes("demo") ? "demo" : (agents[0] ?? "demo");
  return `${bot} runs coding agents on issues of this repository when somebody asks.

- **Agents**: ${agents.map((name) => `\`${name}\``).join(", ")}.
- **Try it**: type \`/lazarus summon ${first}\` as a comment here. \`/lazarus help\` lists the rest.
- **Who may**: summon with write permission; close, publish and destroy as an administrator.
- **What it never does**: it pushes to no default branch, gives no agent a token, and merges nothing by itself.
- **To remove it**: close this issue, and run \`lazarus setup --undo\` where it runs.
`;
}
