import type { DashboardDeps } from "../deps.ts";
import { type Html, html } from "../html.ts";
import type { Place } from "../place.ts";

/** Why somebody stands before the door. */
export const DOOR = {
  in: "Cells are shown to whoever may read their repository.",
  out: "You are signed out here. The forge may still be signed in.",
  over: "You are signed out: your session is over, or was ended. What a form held was not done.",
  linkUsed:
    "That link does not open anything: it was used, is older than a minute, or is none. On the server, lazarus open makes another.",
  denied: "You said no on the forge; nothing was stored.",
  otherWindow: "This sign-in began in another window or is older than 10 minutes. Begin again.",
  refusedUs:
    "The forge refused Lazarus' own credentials, so nobody can sign in. An operator looks at login.client_id and login.client_secret (docs/dashboard.md).",
  forgeDown:
    "The forge does not answer, so nobody can sign in now. Try again in a minute; on the server, lazarus open lets its operator in.",
  strange:
    "The forge answered something that tells nobody who you are. Begin again; the log of serve says more.",
  http: "Sign-in needs https here: server.url begins with http:// and is another machine's. login.allow_http allows it all the same.",
  often: "That was too often for one minute. Wait a minute, then try again.",
} as const;
export type Door = keyof typeof DOOR;

/** What somebody sees who is not signed in: nothing of what is here, but how to come in. */
export function signIn(
  place: Place,
  { config }: Pick<DashboardDeps, "config">,
  { why, to }: { readonly why: Door; readonly to: string },
): { readonly title: string; readonly main: Html } {
  const isSetUp = config.login.client !== null;
  const start = place.link(`/login/start?to=${encodeURIComponent(to)}`);
  const main = html`<h1>Sign in</h1><p${why === "in" ? "" : html` role="alert"`}>${DOOR[why]}</p>${
    isSetUp
      ? html`<p><a class="button" href="${start}">Sign in through ${new URL(config.forge.publicUrl).host}</a></p>`
      : html`<p>Sign-in through the forge is not set up (<code>login</code> in <code>lazarus.yaml</code>, see docs/dashboard.md).</p>`
  }<p class="quiet">The operator comes in with <code>lazarus open</code>, typed on the server.</p>`;
  return { title: "Sign in", main };
}
