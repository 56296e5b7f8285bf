import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import express from "express";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createStreams } from "../../src/gitea/http.ts";
import { silentLog } from "../../src/log.ts";
import type { RunnerJob } from "../../src/protocol/runner-port.ts";
import { createDirectoryStore } from "../../src/seals/directory-store.ts";
import { createSealClient } from "../../src/seals/seal-client.ts";
import { createSealGate } from "../../src/seals/seal-gate.ts";
import type { Kept } from "../../src/seals/seal-store.ts";
import { sealPassOf } from "../../src/transport/seal-pass.ts";
import { until } from "../fakes/until.ts";

const MASTER = Buffer.alloc(32, 3);
const CELL = "4f1c0b7e-0000-4000-8000-000000000001";
const OTHER = "4f1c0b7e-0000-4000-8000-000000000002";
const OF = { row: "row", cellId: CELL };
const BODY = "all of it ".repeat(50_000);

const facts = (name: string, text: string) => ({
  name,
  bytes: text.length,
  sha256: createHash("sha256").update(text).digest("hex"),
});
const MANIFEST = `${JSON.stringify({ created_at: "x", seal: "s", files: [facts("cell.tar.gz", BODY)] })}\n`;
const storeJob = { id: "row", kind: "store", key: "k", attempt: 1, payload: { cellId: CELL } } as RunnerJob;
const restoreJob = (digest: string) =>
  ({
    ...{ id: "row", kind: "restore", key: "k", attempt: 1 },
    payload: { cellId: CELL, stored: { digest, theirs: null } },
  }) as unknown as RunnerJob;

let dir: string;
let server: Server;
let root: string;
let now: number;
let held: boolean;
let kept: [string, Kept][];
let pass: string | null;

async function open(more: { mostBytes?: number; freeBytes?: number } = {}): Promise<void> {
  const store = createDirectoryStore({ dir, mostBytes: 10_000_000, freeBytes: 0, ...more });
  const gate = createSealGate({
    ...{ store, master: MASTER, log: silentLog, now: () => now, holds: () => held },
    kept: (cellId, what) => kept.push([cellId, what]),
  });
  server = createServer(express().use(gate)).listen(0, "127.0.0.1");
  await once(server, "listening");
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-seal-gate-"));
  [now, held, kept] = [0, true, []];
  pass = sealPassOf(MASTER, "r1", storeJob, now);
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(dir, { recursive: true, force: true });
});

const client = () =>
  createSealClient({ root, streams: createStreams({ timeoutMs: 10_000 }), passOf: () => pass });
const put = (path: string, body = "x", token = pass) =>
  fetch(`${root}/seals/${path}`, { method: "PUT", body, headers: { authorization: `Bearer ${token}` } });
const bytes = (text: string) => Readable.from([Buffer.from(text)]);

const connections = () =>
  new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));

async function handOver(): Promise<Kept> {
  expect(await client().offer(OF, MANIFEST)).toEqual(["cell.tar.gz"]);
  await client().send(OF, { name: "cell.tar.gz", bytes: BODY.length }, bytes(BODY));
  expect(await client().offer(OF, MANIFEST)).toEqual([]);
  const [[cellId, what] = ["", { digest: "", bytes: 0 }]] = kept;
  expect([cellId, what.bytes]).toEqual([CELL, BODY.length]);
  return what;
}

it("takes a seal, and gives it back whole to a job that may fetch it", async () => {
  await open();
  const { digest } = await handOver();
  pass = sealPassOf(MASTER, "r2", restoreJob(digest), now);
  expect(await client().manifest(OF)).toBe(MANIFEST);
  const body = await client().fetch(OF, "cell.tar.gz");
  expect(Buffer.concat(await body.toArray()).toString()).toBe(BODY);
});

it("breaks off what is damaged before its end, and says so when it is asked for again", async () => {
  await open();
  const { digest } = await handOver();
  writeFileSync(join(dir, `${CELL}.${digest}`, "cell.tar.gz"), BODY.toUpperCase());
  pass = sealPassOf(MASTER, "r2", restoreJob(digest), now);
  const body = await client().fetch(OF, "cell.tar.gz");
  await expect(body.toArray()).rejects.toThrow();
  await expect(client().fetch(OF, "cell.tar.gz")).rejects.toMatchObject({
    ...{ code: "directory", retryable: false },
    message: expect.stringMatching(
      /cell\.tar\.gz is not what was sealed \(its SHA-256 differs\): put it back/,
    ),
  });
});

it("outlives a server that breaks off while nobody reads", async () => {
  server = createServer((_request, response) => {
    response
      .writeHead(200, { "content-length": 200_000 })
      .write("x".repeat(100_000), () => response.socket?.end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const body = await client().fetch(OF, "cell.tar.gz");
  await until("nothing is connected", async () => (await connections()) === 0);
  await expect(body.toArray()).rejects.toThrow();
});

it("says in words that there is no room, and that it is tried again", async () => {
  await open({ freeBytes: Number.MAX_SAFE_INTEGER });
  await expect(client().offer(OF, MANIFEST)).rejects.toMatchObject({
    ...{ code: "disk-full", retryable: true },
    message: expect.stringMatching(/^handing a seal over: no room for a seal of .* \(limits\.free\)$/),
  });
  expect(kept).toEqual([]);
});

describe("a hostile runner", () => {
  it("without a pass, or with one that it changed, is refused", async () => {
    await open();
    for (const token of ["", "x.y", `${pass}x`, `A${pass?.slice(1)}`])
      expect((await put(`${CELL}/manifest.json`, MANIFEST, token)).status).toBe(401);
  });

  it("comes to no other cell's seal, and to nothing beside the four files", async () => {
    await open();
    expect((await put(`${OTHER}/manifest.json`, MANIFEST)).status).toBe(403);
    for (const path of [
      `${CELL}/notes`,
      `${CELL}/..%2f${OTHER}/manifest.json`,
      `${CELL}/x/manifest.json`,
      CELL,
    ])
      expect((await put(path)).status).toBe(404);
    expect(readdirSync(dir)).toEqual([]);
  });

  it("only does what its job is for, while it is at work", async () => {
    await open();
    const { digest } = await handOver();
    const fetching = await fetch(`${root}/seals/${CELL}/cell.tar.gz`, {
      headers: { authorization: `Bearer ${pass}` },
    });
    expect(fetching.status).toBe(403);
    const forFetch = sealPassOf(MASTER, "r1", restoreJob(digest), now);
    expect((await put(`${CELL}/manifest.json`, MANIFEST, forFetch)).status).toBe(403);
    held = false;
    expect((await put(`${CELL}/manifest.json`, MANIFEST)).status).toBe(503);
    const late = await fetch(`${root}/seals/${CELL}/cell.tar.gz`, {
      headers: { authorization: `Bearer ${forFetch}` },
    });
    expect(late.status).toBe(503);
    [held, now] = [true, 11 * 60_000];
    expect((await put(`${CELL}/manifest.json`, MANIFEST)).status).toBe(503);
  });

  it("keeps nothing that is larger than it said, or another", async () => {
    await open();
    await put(`${CELL}/manifest.json`, MANIFEST);
    for (const body of [`${BODY}and more`, BODY.toUpperCase()])
      expect((await put(`${CELL}/cell.tar.gz`, body)).status).toBe(422);
    expect(await client().offer(OF, MANIFEST)).toEqual(["cell.tar.gz"]);
    expect(kept).toEqual([]);
  });

  it("hands over no seal of any size, and no manifest of any size", async () => {
    await open({ mostBytes: 1_000 });
    expect((await put(`${CELL}/manifest.json`, MANIFEST)).status).toBe(413);
    expect((await put(`${CELL}/manifest.json`, "x".repeat(2_000_000))).status).toBe(413);
    const named = MANIFEST.replace("cell.tar.gz", "../../etc/passwd");
    expect((await put(`${CELL}/manifest.json`, named)).status).toBe(422);
  });
});
