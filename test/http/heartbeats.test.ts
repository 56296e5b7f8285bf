import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createHeartbeatRoute } from "../../src/http/heartbeats.ts";
import type { HeartbeatWords } from "../../src/protocol/runner-port.ts";
import { type HeartbeatAccess, openHeartbeatAccess } from "../../src/runner/heartbeat-tokens.ts";
import { createFakeClock, type FakeClock } from "../fakes/clock.ts";

const CELL = "4f1c0b7e-1111-4222-8333-444455556666";
const OTHER = "9ab24c11-1111-4222-8333-444455556666";

let dir: string;
let server: Server;
let url: string;
let clock: FakeClock;
let access: HeartbeatAccess;
let heard: [string, HeartbeatWords][];
let isAtWork: boolean;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-beats-"));
  access = openHeartbeatAccess(dir, "http://127.0.0.1:8420");
  clock = createFakeClock();
  heard = [];
  isAtWork = true;
  const hear = async (cellId: string, words: HeartbeatWords) => isAtWork && heard.push([cellId, words]) > 0;
  const web = express();
  web.use(createHeartbeatRoute({ ...access, hear, redact: (text) => text }, clock));
  web.use((_request, response) => void response.status(404).json({ error: "there is nothing here" }));
  server = createServer(web).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  access.listensAt(url);
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(dir, { recursive: true, force: true });
});

const tokenOf = (cell: string) =>
  access.environmentOf(cell, { backend: "process", network: "none" }).LAZARUS_HEARTBEAT_TOKEN ?? "";

async function beat(cell: string, token: string | null, body: unknown = { state: "testing" }) {
  const answer = await fetch(`${url}/cells/${encodeURIComponent(cell)}/heartbeat`, {
    method: "POST",
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
}

it("takes a heartbeat with the cell's own token, as curl sends it", async () => {
  expect(await beat(CELL, tokenOf(CELL), { state: "testing", progress: 0.4 })).toMatchObject({
    status: 202,
    text: '{"ok":true}',
  });
  expect(heard).toEqual([[CELL, { state: "testing", message: null, progress: 0.4 }]]);
});

it("gives one and the same answer to a wrong token, another cell's, none, and a cell that is not there", async () => {
  const unknown = "00000000-1111-4222-8333-444455556666";
  const tries: [string, string | null][] = [
    [CELL, null],
    [CELL, ""],
    [CELL, "x"],
    [CELL, tokenOf(OTHER)],
    [CELL, `${tokenOf(CELL)}0`],
    [CELL, tokenOf(CELL).toUpperCase()],
    [CELL.toUpperCase(), tokenOf(CELL)],
    [unknown, tokenOf(CELL)],
    ["x", tokenOf(CELL)],
    ["..%2f..", tokenOf(CELL)],
    ["a".repeat(5_000), tokenOf(CELL)],
  ];
  const answers = new Set<string>();
  for (const [cell, token] of tries) {
    const { status, text, headers } = await beat(cell, token);
    answers.add(`${status} ${text} ${headers.get("www-authenticate")}`);
  }
  expect([...answers]).toEqual(['401 {"error":"the token is missing or wrong"} Bearer']);
  expect(heard).toEqual([]);
});

it("tells nobody by another method whether a cell is there", async () => {
  for (const cell of [CELL, "x"]) {
    const answer = await fetch(`${url}/cells/${cell}/heartbeat`, {
      headers: { authorization: `Bearer ${tokenOf(CELL)}` },
    });
    expect(answer.status).toBe(404);
  }
});

it("takes one a second of each cell, and nobody uses up another's turn", async () => {
  for (let n = 0; n < 20; n++) await beat(CELL, "a wrong one");
  expect((await beat(CELL, tokenOf(CELL))).status).toBe(202);
  const soon = await beat(CELL, tokenOf(CELL));
  expect([soon.status, soon.headers.get("retry-after")]).toEqual([429, "1"]);
  expect((await beat(OTHER, tokenOf(OTHER))).status).toBe(202);
  await clock.advance(1_000);
  expect((await beat(CELL, tokenOf(CELL))).status).toBe(202);
  expect(heard).toHaveLength(3);
});

it.each([
  ["no JSON", "state=testing", 400],
  ["half of it", '{"state":', 400],
  ["nothing", "", 400],
  ["no state", "{}", 400],
  ["a state of the wrong kind", '{"state": {"a": 1}}', 400],
  ["more than 4 KB", JSON.stringify({ state: "a", message: "x".repeat(4_097) }), 413],
  ["a megabyte", "x".repeat(1_000_000), 413],
])("refuses %s", async (_, body, status) => {
  expect((await beat(CELL, tokenOf(CELL), body)).status).toBe(status);
  expect(heard).toEqual([]);
});

it("does not wait for a body that never comes where the token is wrong", async () => {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () =>
      socket.write(`POST /cells/${CELL}/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n{`),
    );
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on("close", () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 401 /);
});

it("says so where no run of the cell is at work", async () => {
  isAtWork = false;
  expect(await beat(CELL, tokenOf(CELL))).toMatchObject({
    status: 409,
    text: '{"error":"no run of this cell is at work"}',
  });
});
