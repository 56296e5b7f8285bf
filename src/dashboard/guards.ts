import type { IncomingMessage } from "node:http";
import helmet from "helmet";
import type { Place } from "./place.ts";

/** What every answer of the dashboard bears. No page has an exception. */
export function createHeaders(place: Place) {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    // With `no-referrer` browsers send `Origin: null` with forms, which would be refused.
    referrerPolicy: { policy: "same-origin" },
    crossOriginOpenerPolicy: { policy: "same-origin" },
    strictTransportSecurity: place.isHttps ? { maxAge: 31_536_000, includeSubDomains: false } : false,
  });
}

/** Why a request is not answered; null: it may be. */
export interface Refusal {
  readonly status: 403 | 405 | 421;
  readonly why: string;
}

const READS = ["GET", "HEAD"];

/**
 * Whether a request is meant for us, and, where it changes something, comes from a page of ours. Only
 * `server.url` tells who we are.
 */
export function refusalOf({ method = "GET", headers }: IncomingMessage, place: Place): Refusal | null {
  if ((headers.host ?? "").toLowerCase() !== place.host)
    return {
      status: 421,
      why: `This Lazarus is reached as ${place.origin}${place.base}/ (server.url), and the request was for another name. Where a proxy stands before it, have that pass on the name: in nginx, proxy_set_header Host $http_host.`,
    };
  if (READS.includes(method)) return null;
  if (method !== "POST") return { status: 405, why: "Pages are read with GET and forms sent with POST." };
  const site = headers["sec-fetch-site"];
  // Browsers leave it out on plain http but for this machine's own names.
  const isOurs = site === undefined ? headers.origin === place.origin : site === "same-origin";
  return isOurs
    ? null
    : { status: 403, why: "That form is not of a page of this Lazarus. Nothing was done." };
}
