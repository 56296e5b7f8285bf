import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, expect, it } from "vitest";
import { askGateway } from "../../../src/runner/health/hermes-status.ts";

let server: Server | null = null;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve) ?? resolve(null));
  server = null;
});

async function serve(listener: RequestListener): Promise<string> {
  const made = createServer(listener);
  server = made;
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}/health`;
}
const ask = (url: string, signal = new AbortController().signal, mostMs?: number) =>
  askGateway(url, {
    redact: (text) => text.replaceAll("sekrit", "[redacted]"),
    signal,
    ...(mostMs === undefined ? {} : { mostMs }),
  });

it.each([
  ["Hermes' own answer", '{"status":"ok"}', { state: "ok" }],
  ["its long one", '{"status":"ok","sessions":3,"message":"2 agents"}', { state: "ok", message: "2 agents" }],
  ["a state", '{"state":"busy"}', { state: "busy" }],
  ["other words", "I am fine", { state: "ok" }],
  ["nothing", "", { state: "ok" }],
  ["a list", "[1]", { state: "ok" }],
  ["null", "null", { state: "ok" }],
  ["a secret", '{"status":"sekrit\\u0007"}', { state: "[redacted]" }],
  ["far too much", "x".repeat(1_000_000), { state: "ok" }],
])("takes 2xx for a sign of life, whatever it says: %s", async (_, body, words) => {
  const url = await serve((_request, response) => response.end(body));
  expect(await ask(url)).toMatchObject({ words });
});

it("follows no redirect, sends no credentials, and takes nothing but 2xx", async () => {
  const asked: string[] = [];
  const url = await serve((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? "-"}`);
    response.writeHead(302, { location: "/elsewhere" }).end();
  });
  expect(await ask(url.replace("//", "//user:pass@"))).toEqual({ fault: "it answers 302" });
  expect(asked).toEqual(["GET /health -"]);
});

it("names why there is no answer", async () => {
  const url = await serve((_request, response) => response.writeHead(503).end('{"status":"ok"}'));
  expect(await ask(url)).toEqual({ fault: "it answers 503" });
  expect(await ask("http://127.0.0.1:9/health")).toEqual({ fault: "ECONNREFUSED" });
  expect(await ask("file:///etc/passwd")).toEqual({ fault: "not an http address" });
});

it("is ended by who asked", async () => {
  const stop = new AbortController();
  const url = await serve(() => stop.abort());
  expect(await ask(url, stop.signal)).toBeNull();
});

it("waits no longer than its limit, also for the rest of an answer", async () => {
  const url = await serve((_request, response) => void response.writeHead(200).write("{"));
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const busy = setInterval(collect, 10);
  try {
    expect(await ask(url, undefined, 100)).toEqual({ fault: "not in time" });
  } finally {
    clearInterval(busy);
  }
});
