import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gitEnvironment } from "./forge/git.ts";

export interface GitServer {
  readonly url: string;
  /** Method, path and whether the right token came, of every request so far. */
  readonly requests: { readonly line: string; readonly authorized: boolean }[];
  /** What the next requests are answered with instead; null: nothing special. */
  fault: ((request: IncomingMessage, response: ServerResponse) => boolean) | null;
  /** Awaited before each request is served. */
  gate: Promise<void>;
  close(): Promise<void>;
}

/**
 * Serves the bare repositories below `root` over smart HTTP, to whoever shows `token`; no forge, only its
 * git.
 */
export async function serveGit(root: string, token: string): Promise<GitServer> {
  const server = createServer((request, response) => void answer(request, response));
  const self: GitServer = {
    url: "",
    requests: [],
    fault: null,
    gate: Promise.resolve(),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, encoded = ""] = /^Basic (.+)$/.exec(request.headers.authorization ?? "") ?? [];
    const authorized = Buffer.from(encoded, "base64").toString().endsWith(`:${token}`);
    self.requests.push({ line: `${request.method} ${request.url}`, authorized });
    await self.gate;
    if (self.fault?.(request, response)) return;
    if (!authorized) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="Gitea"' }).end("no");
      return;
    }
    runBackend(request, response);
  }

  function runBackend(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://git");
    const child = spawn("git", ["http-backend"], {
      env: {
        ...gitEnvironment(),
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: "1",
        REMOTE_USER: "bot",
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method ?? "GET",
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      },
    });
    child.stdin.on("error", () => {});
    request.pipe(child.stdin);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("close", () => {
      const all = Buffer.concat(chunks);
      const at = all.indexOf("\r\n\r\n");
      let status = 200;
      for (const line of all.subarray(0, at).toString().split("\r\n")) {
        const [name = "", value = ""] = line.split(": ");
        if (name === "Status") status = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.writeHead(status).end(all.subarray(at + 4));
    });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(self, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}
