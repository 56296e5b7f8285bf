import { once } from "node:events";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { certificate } from "../fakes/certificate.ts";

/** What ends TLS before Lazarus, as nginx or Caddy do. */
export interface TlsProxy {
  /** `https://localhost:…`, with the path that it answers below. */
  readonly url: string;
  /** Where it passes requests on to, `127.0.0.1:8420`; nowhere at first. */
  to: string;
  /** False: requests arrive under the name that `to` has, as nginx does where nobody says otherwise. */
  passesHost: boolean;
  stop(): void;
}

/** `base`: the path it answers below; `strips`: it takes that away before it passes a request on. */
export async function startTlsProxy(base: string, strips: boolean): Promise<TlsProxy> {
  const server = createServer(certificate(), (asked, answer) => {
    const path = asked.url ?? "/";
    if (!path.startsWith(`${base}/`)) return void answer.writeHead(404).end("of another application");
    const headers = { ...asked.headers, "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https" };
    if (!proxy.passesHost) headers.host = proxy.to;
    const [host = "", port = ""] = proxy.to.split(":");
    const onward = {
      host,
      port,
      method: asked.method,
      path: strips ? path.slice(base.length) : path,
      headers,
    };
    const passed = request(onward, (came) => {
      answer.writeHead(came.statusCode ?? 502, came.headers);
      came.pipe(answer);
    });
    passed.on("error", () => answer.writeHead(502).end());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy: TlsProxy = {
    url: `https://localhost:${(server.address() as AddressInfo).port}${base}`,
    to: "",
    passesHost: true,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
  return proxy;
}
