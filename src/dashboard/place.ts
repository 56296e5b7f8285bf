/** Where people reach the dashboard, as `server.url` says: never what a request claims. */
export interface Place {
  /** `https://lazarus.example.org` */
  readonly origin: string;
  readonly host: string;
  /** Empty, or `/lazarus` where it lies below a path. */
  readonly base: string;
  readonly isHttps: boolean;
  /** The name of the machine is one of this machine's own. */
  readonly isLoopback: boolean;
  /** A path of the dashboard as a browser asks for it. */
  link(path: string): string;
}

/** Of an address without a slash at its end. */
export function placeOf(address: string): Place {
  const url = new URL(address);
  const base = url.pathname.replace(/\/+$/, "");
  return {
    origin: url.origin,
    host: url.host,
    base,
    isHttps: url.protocol === "https:",
    isLoopback: /^(127\.[\d.]+|\[::1\]|localhost)$/.test(url.hostname),
    link: (path) => `${base}${path}`,
  };
}

/** Where the forge sends people back to after they signed in. */
export const SIGN_IN_PATH = "/login/callback";

/** The redirect URI of the dashboard at an address: what the OAuth2 application on the forge must list. */
export function redirectOf(address: string): string {
  const place = placeOf(address);
  return `${place.origin}${place.link(SIGN_IN_PATH)}`;
}

/** A path of this dashboard that somebody may be sent back to; `/` for anything else. */
export function pathBack(text: unknown): string {
  if (typeof text !== "string" || text.length > 500) return "/";
  // Neither `//other.example` nor `/\other.example`, nor what a browser would drop before it looks.
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(text) ? text : "/";
}
