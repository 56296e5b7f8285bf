import { createServer, request } from "node:http";

/** A way to a forge that writes down what is asked of its API. */
export interface CountingProxy {
  /** To be used as `forge.url`. */
  readonly url: string;
  /** `GET /repos/acme/app`, in the order in which they came; what git asks is not among them. */
  readonly calls: string[];
  stop(): Promise<void>;
}

const API = "/api/v1";

/** Stands between Lazarus and a server, and changes nothing. */
export async function startCountingProxy(to: string): Promise<CountingProxy> {
  const target = new URL(to);
  const calls: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const url = incoming.url ?? "/";
    if (url.startsWith(API)) calls.push(`${incoming.method} ${url.slice(API.length)}`);
    const onward = request(
      {
        ...{ host: target.hostname, port: target.port, method: incoming.method, path: url },
        headers: { ...incoming.headers, host: target.host },
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
