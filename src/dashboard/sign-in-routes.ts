import type { IncomingMessage } from "node:http";
import { audit } from "../cells/registry/audit.ts";
import { count } from "../meter.ts";
import { cookie, readCookie } from "./cookies.ts";
import type { DashboardDeps } from "./deps.ts";
import { beginSignIn, endSignIn, type LoginSettings } from "./login.ts";
import type { Door } from "./pages/sign-in.ts";
import { type Place, pathBack, SIGN_IN_PATH } from "./place.ts";
import { LOGIN_MS, newSecret, type Sessions } from "./sessions.ts";

/** What is answered: a way on with cookies, or the door and why. */
export type Entered =
  | { readonly to: string; readonly cookies: readonly string[] }
  | { readonly door: Door; readonly to: string };

interface Deps {
  readonly d: DashboardDeps;
  readonly place: Place;
  readonly sessions: Sessions;
}

/** As metrics name what came of it. */
const RESULTS = {
  ...{ denied: "denied", refusedUs: "refused_us", forgeDown: "forge_down", strange: "strange" },
} as const;

/** Sign-in begins: the browser is bound to it, and sent to the forge. */
export async function start(query: URLSearchParams, { d, place, sessions }: Deps): Promise<Entered> {
  const to = pathBack(query.get("to"));
  const settings = settingsOf(d, place);
  if (settings === null) return { door: "in", to };
  if (!place.isHttps && !place.isLoopback && !d.config.login.allowsHttp) return { door: "http", to };
  const browser = newSecret();
  const { url, state, verifier } = await beginSignIn(settings);
  sessions.beginLogin({ state, browser, verifier, to });
  return { to: url, cookies: [cookie("login", browser, LOGIN_MS, place)] };
}

/** The browser comes back from the forge: what it brings is used once, whatever comes of it. */
export async function callback(
  request: IncomingMessage,
  query: URLSearchParams,
  { d, place, sessions }: Deps,
): Promise<Entered> {
  const state = query.get("state") ?? "";
  const browser = readCookie(request, "login", place) ?? "";
  const begun = sessions.takeLogin(state, browser);
  const settings = settingsOf(d, place);
  if (begun === null || settings === null) {
    count("logins_total", { result: "other_window" });
    note(d, {
      who: "somebody",
      whoId: null,
      result: "refused",
      reason: "the sign-in is of another window, or too old",
    });
    return { door: "otherWindow", to: "/" };
  }
  const came = await endSignIn(settings, { query, state, verifier: begun.verifier });
  if (came.kind !== "in") {
    count("logins_total", { result: RESULTS[came.kind] });
    note(d, { who: "somebody", whoId: null, result: "refused", reason: d.redact(came.why) });
    if (came.kind !== "denied") d.log.warn({ why: came.why }, "sign-in through the forge failed");
    return { door: came.kind, to: begun.to };
  }
  // Whatever session this browser had is not the new one's.
  const old = readCookie(request, "session", place);
  const session = old === null ? null : sessions.find(old);
  if (session !== null) sessions.end(session.id);
  const secret = sessions.begin(came.person, d.config.login.sessionMs);
  count("logins_total", { result: "done" });
  note(d, { who: came.person.login, whoId: came.person.id, result: "done", reason: null });
  return {
    to: place.link(begun.to),
    cookies: [cookie("session", secret, d.config.login.sessionMs, place), cookie("login", "", 0, place)],
  };
}

/** The operator's one-time link. */
export function once(query: URLSearchParams, { d, place, sessions }: Deps): Entered {
  const link = sessions.takeLink(query.get("key") ?? "");
  count("logins_total", { result: link === null ? "link_used" : "done" });
  if (link === null) {
    note(d, {
      who: "somebody",
      whoId: null,
      result: "refused",
      reason: "the link was used, too old, or none",
    });
    return { door: "linkUsed", to: "/" };
  }
  const { sessionMs } = d.config.login;
  const secret = sessions.begin({ id: null, login: link.login }, sessionMs);
  note(d, { who: link.login, whoId: null, result: "done", reason: null });
  return { to: place.link("/"), cookies: [cookie("session", secret, sessionMs, place)] };
}

function settingsOf({ config, fetch }: DashboardDeps, place: Place): LoginSettings | null {
  const { client } = config.login;
  if (client === null) return null;
  return { forge: config.forge, client, fetch, redirect: `${place.origin}${place.link(SIGN_IN_PATH)}` };
}

function note(
  { db, clock }: DashboardDeps,
  what: { who: string; whoId: number | null; result: "done" | "refused"; reason: string | null },
): void {
  audit(db).add({
    ...what,
    at: clock.now(),
    via: "web",
    verb: "sign in",
    subject: "dashboard",
    cell: null,
    why: null,
  });
}
