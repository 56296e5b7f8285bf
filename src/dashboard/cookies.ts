import type { IncomingMessage } from "node:http";
import type { Place } from "./place.ts";

/** The cookies of a dashboard: `session` opens it, `login` binds a sign-in to the browser that began it. */
export type CookieName = "session" | "login";

const NAMES: Record<CookieName, string> = { session: "lazarus", login: "lazarus-login" };

/** Its name: a prefix has browsers hold it to this host, and to https. */
export function cookieName(name: CookieName, { isHttps, base }: Place): string {
  if (!isHttps) return NAMES[name];
  return `${base === "" ? "__Host-" : "__Secure-"}${NAMES[name]}`;
}

/**
 * What a cookie holds; null where it is not there. Two of one name are none: one of them is somebody else's.
 */
export function readCookie({ headers }: IncomingMessage, name: CookieName, place: Place): string | null {
  const wanted = `${cookieName(name, place)}=`;
  const found = (headers.cookie ?? "").split(/;\s*/).filter((one) => one.startsWith(wanted));
  const [only] = found;
  if (only === undefined || found.length > 1) return null;
  const value = only.slice(wanted.length);
  return /^[\w-]{20,100}$/.test(value) ? value : null;
}

/** A `Set-Cookie` for so many ms; 0 takes it away. */
export function cookie(name: CookieName, value: string, lastsMs: number, place: Place): string {
  return [
    `${cookieName(name, place)}=${value}`,
    `Path=${place.base}/`,
    `Max-Age=${Math.floor(lastsMs / 1_000)}`,
    "HttpOnly",
    "SameSite=Lax",
    ...(place.isHttps ? ["Secure"] : []),
  ].join("; ");
}
