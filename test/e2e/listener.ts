import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "../fakes/until.ts";

/** One delivery as it arrived. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  /** Names and values as they stood on the wire. */
  readonly rawHeaders: readonly string[];
  /** The exact text. */
  readonly body: string;
  readonly payload: Record<string, unknown>;
}

export interface Listener {
  readonly url: string;
  readonly received: readonly Received[];
  /** Waits for the first delivery that fits. */
  find(fits: (delivery: Received) => boolean, what: string): Promise<Received>;
  /** From now on it takes deliveries and never answers. */
  hold(): void;
  stop(): Promise<void>;
}

/** A receiver of webhooks on a free port of 127.0.0.1 that keeps what it gets and answers 202. */
export async function startListener(): Promise<Listener> {
  const received: Received[] = [];
  let isHeld = false;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString("utf8");
    const payload = JSON.parse(body) as Record<string, unknown>;
    received.push({ headers: request.headers, rawHeaders: request.rawHeaders, body, payload });
    if (!isHeld) response.writeHead(202).end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/gitea`,
    received,
    async find(fits, what) {
      await until(what, () => received.some(fits));
      const found = received.find(fits);
      if (!found) throw new Error(`no delivery: ${what}`);
      return found;
    },
    hold() {
      isHeld = true;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
