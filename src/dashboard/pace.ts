import type { IncomingMessage, ServerResponse } from "node:http";
import { ipKeyGenerator, rateLimit } from "express-rate-limit";

const MINUTE_MS = 60_000;

/** How many requests a minute are answered; more hear when to come again. */
export interface Pace {
  readonly most: number;
  /** What is counted together: an address, a session. */
  readonly by: (request: IncomingMessage) => string;
  readonly say: (response: ServerResponse) => void;
}

/** Refuses what comes too often, with 429 and `Retry-After`. */
export function createPace({ most, by, say }: Pace): ReturnType<typeof rateLimit> {
  return rateLimit({
    windowMs: MINUTE_MS,
    limit: most,
    keyGenerator: (request) => by(request),
    standardHeaders: false,
    legacyHeaders: false,
    handler: (_request, response) => {
      response.status(429).setHeader("Retry-After", "60");
      say(response);
    },
  });
}

/** The address a request came from; of IPv6 its network, since one machine has many. */
export function addressOf({ socket }: IncomingMessage): string {
  return ipKeyGenerator(socket.remoteAddress ?? "");
}
