import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { sleep, systemClock } from "../clock.ts";
import { explain, systemCode } from "../errors.ts";
import type { Repository } from "../gitea/port.ts";
import type { SetupForge } from "../gitea/setup-calls.ts";
import { repositoryNameOf } from "../webhooks/parse.ts";
import { checkSignature } from "../webhooks/signature.ts";
import { HOOK_PATH, nameOf } from "./forge-steps.ts";

/** What became of one test delivery. */
export type Trip =
  | { readonly kind: "came"; readonly ms: number }
  /** It came, signed with another secret. */
  | { readonly kind: "other-secret" }
  | { readonly kind: "did-not-come" }
  /** A forge sends nothing for a repository without a commit. */
  | { readonly kind: "empty" }
  /** Only an administrator has a forge send a test delivery, and none lent a token. */
  | { readonly kind: "not-tried" }
  | { readonly kind: "not-asked"; readonly why: string };

const MOST_BYTES = 5 * 1024 * 1024;
const PATIENCE_MS = 10_000;
const LOOK_MS = 50;

/** Listens where the server will, as long as set-up runs. */
export interface Ear {
  /** Whether a delivery of the repository came, and was signed with its secret; null: none came. */
  heard(fullName: string): boolean | null;
  forget(fullName: string): void;
  close(): Promise<void>;
}

/** A sentence where the address cannot be had. */
export async function openEar(
  listen: { readonly host: string; readonly port: number },
  secretsOf: (fullName: string) => readonly string[],
): Promise<Ear | string> {
  const seen = new Map<string, boolean>();
  const server = createServer((request, response) => {
    const end = (status: number) => void response.writeHead(status).end();
    if (request.method !== "POST" || request.url !== HOOK_PATH) return end(404);
    readBody(request).then(
      (body) => {
        const name = nameIn(body);
        if (name === null) return end(400);
        const check = checkSignature(header(request), secretsOf(name));
        check?.update(body);
        const isSigned = check?.isSigned() === true;
        seen.set(name.toLowerCase(), isSigned || seen.get(name.toLowerCase()) === true);
        end(isSigned ? 202 : 401);
      },
      () => end(400),
    );
  });
  server.requestTimeout = PATIENCE_MS;
  server.maxConnections = 64;
  server.listen(listen.port, listen.host);
  try {
    await once(server, "listening");
  } catch (error) {
    const isTaken = systemCode(error) === "EADDRINUSE";
    return `nothing can listen on ${listen.host}:${listen.port}: ${isTaken ? "another program does" : explain(error)}`;
  }
  return {
    heard: (fullName) => seen.get(fullName.toLowerCase()) ?? null,
    forget: (fullName) => void seen.delete(fullName.toLowerCase()),
    close: () => shut(server),
  };
}

async function shut(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  if (server.listening) await once(server, "close");
}

const header = (request: IncomingMessage): string => {
  const value = request.headers["x-hub-signature-256"];
  return typeof value === "string" ? value : "";
};

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_BYTES) throw new Error("too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function nameIn(body: Buffer): string | null {
  try {
    return repositoryNameOf(JSON.parse(body.toString("utf8")));
  } catch {
    return null;
  }
}

/** Has the forge send a test delivery, and waits for it. */
export async function roundTrip(at: {
  readonly forge: SetupForge;
  readonly repository: Repository;
  readonly hookId: number;
  readonly ear: Ear;
}): Promise<Trip> {
  const { forge, repository, hookId, ear } = at;
  if (repository.isEmpty) return { kind: "empty" };
  ear.forget(repository.fullName);
  const from = performance.now();
  try {
    await forge.testHook(nameOf(repository), hookId);
  } catch (error) {
    return { kind: "not-asked", why: explain(error) };
  }
  while (performance.now() - from < PATIENCE_MS) {
    const isSigned = ear.heard(repository.fullName);
    if (isSigned !== null)
      return isSigned ? { kind: "came", ms: performance.now() - from } : { kind: "other-secret" };
    await sleep(systemClock, LOOK_MS);
  }
  return { kind: "did-not-come" };
}
