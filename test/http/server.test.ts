import { connect, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type App, openApp } from "../../src/app.ts";
import { STATIC } from "../../src/dashboard/static-files.ts";
import { type HttpServer, listen } from "../../src/http/server.ts";
import { silentLog } from "../../src/log.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";
import { until } from "../fakes/until.ts";
import { lacking } from "../machine.ts";

/** Where this machine is reached from outside; whoever asks there comes from there. */
const outside = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find((one) => one.family === "IPv4" && !one.internal)?.address;
const isAlone = outside === undefined;

let rig: ForgeRig;
let app: App;
let server: HttpServer;
beforeEach(async () => {
  rig = await createForgeRig();
  app = await openApp(rig.config, { log: silentLog });
});
afterEach(async () => {
  await server.close();
  await app.stop();
  await rig.stop();
});

it("says that it lives, and that it is ready once the forge has answered", async () => {
  server = await listen(app);
  expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await until("readyz", async () => (await fetch(`${server.url}/readyz`)).status === 200);
  const nothing = await fetch(`${server.url}/nothing`);
  expect([nothing.status, await nothing.json()]).toEqual([404, { error: "there is nothing here" }]);
  const odd = await fetch(`${server.url}/%E0%A4%A`);
  expect(odd.status).toBe(404);
  expect(odd.headers.get("x-powered-by")).toBeNull();
});

it("cuts a slow sender off, in its headers and in its body", async () => {
  server = await listen(app, { headersMs: 200, requestMs: 400, lookMs: 50 });
  const port = Number(new URL(server.url).port);
  const slow = (text: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(text));
      let answer = "";
      socket.on("data", (chunk: Buffer) => {
        answer += chunk.toString();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(answer));
    });
  const signature = `X-Hub-Signature-256: sha256=${"0".repeat(64)}\r\n`;
  const head = `POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${signature}`;
  expect(await slow(head)).toContain("408");
  expect(await slow(`${head}Content-Length: 100\r\n\r\n{`)).toContain("408");
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

it("takes so many connections, and no more until one ends", async () => {
  server = await listen(app, { connections: 3 });
  const port = Number(new URL(server.url).port);
  const open = () =>
    new Promise<{ socket: Socket; isTaken: boolean }>((resolve) => {
      const socket = connect(port, "127.0.0.1", () =>
        socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
      );
      socket.on("error", () => {});
      socket.once("data", () => resolve({ socket, isTaken: true }));
      socket.once("close", () => resolve({ socket, isTaken: false }));
    });
  const held = [await open(), await open(), await open()];
  expect(held.map(({ isTaken }) => isTaken)).toEqual([true, true, true]);
  expect((await open()).isTaken).toBe(false);
  held[0]?.socket.destroy();
  await until("there is a place again", async () => {
    const { socket, isTaken } = await open();
    socket.destroy();
    return isTaken;
  });
  for (const { socket } of held) socket.destroy();
});

it("cuts off who says nothing, and who does not take the answer", async () => {
  server = await listen(app, { headersMs: 200, requestMs: 400, lookMs: 50, idleMs: 300 });
  const port = Number(new URL(server.url).port);
  const ended = (text: string) =>
    new Promise<true>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(text));
      socket.on("error", () => {});
      socket.on("close", () => resolve(true)).resume();
    });
  expect(await ended("")).toBe(true);
  expect(await ended("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")).toBe(true);
});

it("cuts off who asks and never takes the answers", async () => {
  const patient = { headersMs: 600_000, requestMs: 600_000 };
  server = await listen(app, { ...patient, lookMs: 50, idleMs: 300, connections: 1 });
  const greedy = connect(Number(new URL(server.url).port), "127.0.0.1");
  greedy.on("error", () => {});
  await new Promise<void>((resolve) => greedy.once("connect", () => resolve()));
  // Nothing here reads: what is answered fills all buffers on the way, and then the server waits.
  greedy.write(`GET ${STATIC.js} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(5_000));
  const isFree = () =>
    fetch(`${server.url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
  expect(await isFree()).toBe(false);
  await until("its place is free again", isFree);
  greedy.destroy();
});

it("says why it is not ready to this machine alone, not to those for whom a proxy asks", async () => {
  server = await listen({ ...app, notReady: () => ["the forge at http://10.0.0.7 does not answer"] });
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(`${server.url}/readyz`, { headers });
    return [answer.status, await answer.json()];
  };
  expect(await ask({})).toEqual([503, { ready: false, reasons: [expect.stringContaining("10.0.0.7")] }]);
  for (const name of ["X-Forwarded-For", "Forwarded", "Via"])
    expect(await ask({ [name]: "1.2.3.4" })).toEqual([503, { ready: false }]);
});

it(
  "says why it is not ready to whoever bears the token of the metrics, and to no other from outside",
  isAlone ? lacking("an address beside the loopback") : {},
  async () => {
    const token = "a-token-of-the-metrics";
    const config = {
      ...app.config,
      server: { ...app.config.server, host: "0.0.0.0" },
      metrics: { listen: null, token },
    };
    server = await listen({
      ...app,
      config,
      notReady: () => ["the forge at http://10.0.0.7 does not answer"],
    });
    const { port } = new URL(server.url);
    const ask = async (headers: Record<string, string>) => {
      const answer = await fetch(`http://${outside}:${port}/readyz`, { headers });
      return [answer.status, await answer.json()];
    };
    expect(await ask({})).toEqual([503, { ready: false }]);
    expect(await ask({ Authorization: "Bearer another" })).toEqual([503, { ready: false }]);
    const reasons = [expect.stringContaining("10.0.0.7")];
    expect(await ask({ Authorization: `Bearer ${token}` })).toEqual([503, { ready: false, reasons }]);
  },
);

it("names the key of an address that is taken", async () => {
  server = await listen(app);
  const taken = {
    ...app,
    config: { ...app.config, server: { ...app.config.server, port: Number(new URL(server.url).port) } },
  };
  await expect(listen(taken)).rejects.toThrow(
    /in use; is another serve running\? \(server\.listen in lazarus\.yaml\)/,
  );
});
