import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Gate, type GatePlan, openGate } from "../../../src/backends/sandbox/gate.ts";
import { silentLog } from "../../../src/log.ts";

describe("the gate to listed hosts", () => {
  let root: string;
  let dir: string;
  let server: Server;
  let port: number;
  let gates: Gate[];
  let asked: { url: string; headers: IncomingHttpHeaders; body: string }[];

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), "lazarus-gate-"));
    dir = join(root, "gate", "allegro");
    gates = [];
    asked = [];
    server = createServer((one, answer) => {
      let body = "";
      one.on("data", (chunk) => {
        body += chunk;
      });
      one.on("end", () => {
        asked.push({ url: one.url ?? "", headers: one.headers, body });
        answer.end("hello from outside");
      });
    });
    port = await new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
    );
  });
  afterEach(async () => {
    for (const gate of gates) await gate.close();
    server.closeAllConnections();
    server.close();
    rmSync(root, { recursive: true, force: true });
  });

  const open = async (hosts: readonly string[], more: Partial<GatePlan> = {}) => {
    const gate = await openGate({ cellId: "c", dir, hosts, log: silentLog, ...more });
    gates.push(gate);
    return gate;
  };
  /** The whole answer to a few bytes. */
  const say = (text: string, more = "") =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ path: join(dir, "socket") }, () => socket.write(text));
      let got = "";
      socket.on("data", (chunk) => {
        got += chunk;
        if (more !== "" && got.endsWith("\r\n\r\n")) socket.end(more);
      });
      socket.on("close", () => resolve(got));
      socket.on("error", reject);
    });
  const tunnel = (target: string) =>
    say(
      `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`,
      "GET /in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );

  it("lets a listed name and port through, both ways", async () => {
    const gate = await open([`localhost:${port}`]);
    const got = await tunnel(`localhost:${port}`);
    expect(got).toMatch(/^HTTP\/1\.1 200 Connection established/);
    expect(got).toContain("hello from outside");
    expect(asked.map((one) => one.url)).toEqual(["/in"]);
    expect(gate.refused()).toEqual([]);
  });

  it("refuses what is not listed, and remembers each once", async () => {
    const gate = await open(["api.example.org"]);
    for (const target of ["evil.example:443", "evil.example:443", `127.0.0.1:${port}`]) {
      expect(await tunnel(target)).toMatch(/^HTTP\/1\.1 403 .*is not among the hosts this agent may reach/s);
    }
    expect(gate.refused()).toEqual(["evil.example:443", `127.0.0.1:${port}`]);
    expect(asked).toEqual([]);
  });

  it("remembers what one before it refused that was never closed, and not what a closed one did", async () => {
    await open(["api.example.org"]);
    expect(await tunnel("evil.example:443")).toMatch(/^HTTP\/1\.1 403 /);
    const next = await open(["api.example.org"]);
    expect(await tunnel("evil.example:80")).toMatch(/^HTTP\/1\.1 403 /);
    expect(next.refused()).toEqual(["evil.example:443", "evil.example:80"]);
    await next.close();
    expect((await open(["api.example.org"])).refused()).toEqual([]);
  });

  it.each([["127.0.0.1"], ["10.0.0.7"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"]])(
    "refuses a listed name that leads to %s",
    async (address) => {
      const gate = await open(["api.example.org"], { resolve: async () => [address] });
      expect(await tunnel("api.example.org:443")).toMatch(/^HTTP\/1\.1 403 .*leads into a private network/s);
      expect(gate.refused()).toEqual(["api.example.org:443"]);
    },
  );

  it("connects to the address that it looked at", async () => {
    let looked = 0;
    await open([`models.lan:${port}`], {
      resolve: async () => (looked++ === 0 ? ["127.0.0.1"] : ["203.0.113.1"]),
    });
    expect(await tunnel(`models.lan:${port}`)).toContain("hello from outside");
    expect(looked).toBe(1);
  });

  it("says that a name has no address", async () => {
    const gate = await open(["api.example.org"], { resolve: () => Promise.reject(new Error("ENOTFOUND")) });
    expect(await tunnel("api.example.org:443")).toMatch(/^HTTP\/1\.1 502 .*has no address/s);
    expect(gate.refused()).toEqual([]);
  });

  it("passes plain HTTP on, for the host that was judged", async () => {
    await open([`localhost:${port}`]);
    const got = await new Promise<string>((resolve, reject) => {
      const out = request({
        socketPath: join(dir, "socket"),
        method: "POST",
        path: `http://localhost:${port}/a?b=c`,
        headers: { host: "evil.example", "proxy-authorization": "secret" },
      });
      out.on("response", (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve(`${response.statusCode} ${text}`));
      });
      out.on("error", reject);
      out.end("body");
    });
    expect(got).toBe("200 hello from outside");
    expect(asked).toMatchObject([{ url: "/a?b=c", body: "body", headers: { host: `localhost:${port}` } }]);
    expect(asked[0]?.headers["proxy-authorization"]).toBeUndefined();
  });

  it.each([
    ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 403 /],
    ["GET ftp://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", /^HTTP\/1\.1 400 /],
    ["CONNECT nonsense HTTP/1.1\r\n\r\n", /^(HTTP\/1\.1 400 |$)/],
    ["nonsense\r\n\r\n", /^(HTTP\/1\.1 400 |$)/],
  ])("turns %j away", async (text, answer) => {
    await open(["api.example.org"]);
    expect(await say(text)).toMatch(answer);
  });

  it("remembers no more than a hundred", async () => {
    const gate = await open([]);
    for (let n = 0; n < 105; n++) await tunnel(`host-${n}.example:443`);
    expect(gate.refused()).toHaveLength(100);
  });

  it("takes the place of one that was killed", async () => {
    mkdirSync(dir, { recursive: true });
    const old = createTcpServer().listen(join(dir, "socket"));
    await new Promise((resolve) => old.once("listening", resolve));
    await open([`localhost:${port}`]);
    expect(await tunnel(`localhost:${port}`)).toContain("hello from outside");
    old.close();
  });

  it("listens below a path that is too long for a socket", async () => {
    dir = join(root, "x".repeat(120), "allegro");
    const gate = await open([]);
    expect(existsSync(join(dir, "socket"))).toBe(true);
    await gate.close();
    gates = [];
    expect(readdirSync(dir)).toEqual([]);
  });

  it("ends open tunnels when it closes", async () => {
    const gate = await open([`localhost:${port}`]);
    const socket = connect({ path: join(dir, "socket") });
    socket.write(`CONNECT localhost:${port} HTTP/1.1\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await gate.close();
    gates = [];
    await closed;
  });

  it("says what it could not do", async () => {
    writeFileSync(join(root, "file"), "");
    await expect(open([], { dir: join(root, "file", "gate") })).rejects.toMatchObject({ code: "backend" });
  });
});
