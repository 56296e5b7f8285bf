import { pipeline } from "node:stream/promises";
import { type Request, type Response, Router } from "express";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import { readSealPass, type SealRights } from "../transport/seal-pass.ts";
import type { Kept, SealStore } from "./seal-store.ts";

export interface SealGateDeps {
  readonly store: SealStore;
  readonly master: Uint8Array;
  readonly log: Pick<Log, "warn">;
  now(): number;
  /** Whether the runner has that job in hand. */
  holds(pass: SealRights): boolean;
  /** A cell's seal is kept from now on. */
  kept(cellId: string, what: Kept): void;
}

/** Nothing comes while a hash is made of it. */
const SILENT_MS = 10 * 60_000;
const MOST_MANIFEST_BYTES = 1024 ** 2;
const PATH = /^\/seals\/([0-9a-f-]{36})\/(manifest\.json|cell\.tar\.gz|branch\.bundle|entries\.jsonl\.gz)$/;

/**
 * `/seals/<cell>/<file>` for runners: `PUT` hands over, the manifest first and last, `GET` fetches. The
 * bearer token is a pass for one job, one cell and one of both. 401: it is none. 403: it is not for this.
 * 503: it has run out, and its job is sent another. 507: there is no room. Nothing else is here.
 */
export function createSealGate(deps: SealGateDeps): Router {
  const router = Router();
  router.all(/^\/seals\//, (request, response) => {
    serve(request, response, deps).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      const [status, why] = refusalOf(error);
      if (status >= 500) deps.log.warn({ why: explain(error) }, "a seal could not be handed on");
      refuse(response, status, why);
    });
  });
  return router;
}

async function serve(request: Request, response: Response, deps: SealGateDeps): Promise<void> {
  request.socket.setTimeout(SILENT_MS);
  const [, cellId = "", name = ""] = PATH.exec(request.path) ?? [];
  const isFetch = request.method === "GET";
  if (cellId === "" || (!isFetch && request.method !== "PUT"))
    return refuse(response, 404, "there is nothing here");
  const token = /^Bearer +(\S+) *$/i.exec(request.get("authorization") ?? "")?.[1] ?? "";
  const pass = readSealPass(deps.master, token);
  if (pass === null) return refuse(response, 401, "this is no pass");
  if (pass.cellId !== cellId) return refuse(response, 403, "this pass is for another cell");
  if (pass.use !== (isFetch ? "fetch" : "store"))
    return refuse(response, 403, isFetch ? "this pass only hands over" : "this pass only fetches");
  if (pass.until <= deps.now() || !deps.holds(pass))
    return refuse(response, 503, "this pass has run out: its job is over, or is sent another");
  if (isFetch) return give(response, { pass, name }, deps);
  if (name !== "manifest.json") {
    await deps.store.take(cellId, name, request);
    response.status(204).end();
    return;
  }
  const { missing, kept } = await deps.store.offer(cellId, await textOf(request));
  // Looked at again: a cell that was sealed anew meanwhile has another seal.
  if (kept !== null && !deps.holds(pass)) return refuse(response, 503, "this job is over");
  if (kept !== null) deps.kept(cellId, kept);
  response.json({ missing });
}

async function give(
  response: Response,
  { pass, name }: { readonly pass: SealRights; readonly name: string },
  { store }: SealGateDeps,
): Promise<void> {
  const { cellId, digest } = pass;
  if (digest === null) return refuse(response, 403, "this pass names no seal");
  if (name === "manifest.json") {
    response.type("application/json").send(await store.manifest(cellId, digest));
    return;
  }
  const { body, bytes } = await store.open(cellId, digest, name);
  response.type("application/octet-stream").set("Content-Length", String(bytes));
  await pipeline(body, response);
}

async function textOf(request: Request): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_MANIFEST_BYTES) throw new LazarusError("over-limit", "the manifest is too large");
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function refusalOf(error: unknown): readonly [number, string] {
  if (!(error instanceof LazarusError))
    return [500, "something went wrong inside Lazarus; its log says what"];
  const { code, message, retryable } = error;
  if (code === "disk-full") return [507, message];
  if (code === "over-limit") return [413, message];
  if (code === "usage") return [422, message];
  return [code === "not-found" || !retryable ? 404 : 503, message];
}

function refuse(response: Response, status: number, why: string): void {
  // What is still on its way is nobody's.
  response.set("Connection", "close").status(status).type("text/plain").send(`${why}\n`);
}
