import { lookup } from "node:dns/promises";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { LazarusError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import {
  asListed,
  type Endpoint,
  isPublicAddress,
  judge,
  nameOfEndpoint,
  parseEndpoint,
} from "./gate-rules.ts";

const SOCKET = "socket";
const REFUSED = "refused";
const MOST_CONNECTIONS = 256;
const MOST_REFUSED = 100;
const CONNECT_MS = 20_000;
/** A model may think for long without a word. */
const IDLE_MS = 30 * 60_000;
/** Of a request on its way: these are between us and whoever asked. @see RFC 9110, 7.6.1 */
const HOP_HEADERS = [
  "connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
];

export interface GatePlan {
  readonly cellId: string;
  /**
   * It and the directory it is in are made where they are not there; the sandbox sees it. `gateDirOf` says
   * which.
   */
  readonly dir: string;
  readonly hosts: readonly string[];
  readonly log: Log;
  /** Addresses of a name; the system's resolver unless told otherwise. */
  readonly resolve?: (host: string) => Promise<string[]>;
}

/** The only way from a sandbox to listed hosts. */
export interface Gate {
  /** Ends what is open, and leaves the directory empty. */
  close(): Promise<void>;
  /**
   * `host:port` of what was refused, each once, at most a hundred; also by a gate of the same run that was
   * never closed.
   */
  refused(): string[];
}

/**
 * Opens the gate of one agent: a proxy (CONNECT, and plain HTTP) on a socket in `dir`. One that an earlier
 * process left there is replaced, so that an agent that outlived it finds this one.
 * @throws LazarusError `backend` where the socket cannot be made.
 */
export async function openGate(plan: GatePlan): Promise<Gate> {
  const refused = recallRefused(plan.dir);
  const open = new Set<Duplex>();
  const keep = (socket: Duplex) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  };
  const reach = createReach(plan, refused);
  const server = createServer((asked, answer) => void forward(asked, answer, reach));
  server.maxConnections = MOST_CONNECTIONS;
  server.timeout = IDLE_MS;
  server.on("connection", keep);
  server.on("connect", (asked: IncomingMessage, inner: Duplex, head: Buffer) => {
    void tunnel({ asked, inner, head }, reach, keep);
  });
  server.on("clientError", (_, socket) => socket.destroy());
  const directory = await listen(server, plan);
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of open) socket.destroy();
    await closed;
    closeSync(directory);
    rmSync(join(plan.dir, REFUSED), { force: true });
  };
  let closing: Promise<void> | null = null;
  return {
    refused: () => [...refused],
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * What a gate of this run refused before its program was killed. The sandbox sees the file, and cannot write
 * it.
 */
function recallRefused(dir: string): Set<string> {
  try {
    return new Set(readFileSync(join(dir, REFUSED), "utf8").split("\n").slice(0, -1).slice(0, MOST_REFUSED));
  } catch {
    return new Set();
  }
}

function keepRefused(dir: string, name: string): void {
  try {
    appendFileSync(join(dir, REFUSED), `${name}\n`, { mode: 0o600 });
  } catch {
    // A full disk: it is in memory all the same.
  }
}

/**
 * Within reach of every user of the cell, whose directory nobody else can enter. Answers the open directory:
 * the socket's path goes through it (a path of its own has room for 107 bytes), and is removed by that path
 * when the server closes.
 */
async function listen(server: Server, { dir, cellId }: GatePlan): Promise<number> {
  let at: number | null = null;
  try {
    for (const one of [dirname(dir), dir]) {
      const there = lstatSync(one, { throwIfNoEntry: false });
      if (there === undefined) mkdirSync(one);
      else if (!there.isDirectory()) throw new Error(`${one} is no directory`);
      chmodSync(one, 0o711);
    }
    rmSync(join(dir, SOCKET), { force: true });
    at = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    const path = `/proc/self/fd/${at}/${SOCKET}`;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o666);
    return at;
  } catch (cause) {
    if (at !== null) closeSync(at);
    throw new LazarusError("backend", `opening the way to listed hosts for cell ${cellId}`, {
      retryable: true,
      cause,
    });
  }
}

type Reach = (
  text: string,
) => Promise<{ readonly socket: Socket } | { readonly status: number; readonly why: string }>;

/**
 * Connects to what the list allows: the name is resolved once, and what was looked at is what is connected
 * to.
 */
function createReach(plan: GatePlan, refused: Set<string>): Reach {
  const resolve =
    plan.resolve ?? (async (host) => (await lookup(host, { all: true })).map((one) => one.address));
  const refuse = (target: Endpoint, why: string) => {
    const name = nameOfEndpoint(target);
    if (!refused.has(name) && refused.size < MOST_REFUSED) {
      refused.add(name);
      keepRefused(plan.dir, name);
      plan.log.info({ cell: plan.cellId, host: name, why }, "a host was refused");
    }
    return { status: 403, why: `${name} ${why}` };
  };
  return async (text) => {
    const asked = parseEndpoint(text);
    if (asked === null) return { status: 400, why: "no host and port that could be read" };
    const target = asListed(asked, plan.hosts) ?? asked;
    const verdict = judge(target, plan.hosts);
    if (verdict === "refused") return refuse(target, "is not among the hosts this agent may reach");
    const addresses = await resolve(target.host).catch(() => []);
    if (addresses.length === 0) return { status: 502, why: `${target.host} has no address` };
    const good = verdict === "anywhere" ? addresses : addresses.filter(isPublicAddress);
    if (good.length === 0) return refuse(target, "leads into a private network");
    return firstOf(good, target.port);
  };
}

async function firstOf(addresses: readonly string[], port: number): ReturnType<Reach> {
  let why = "";
  for (const address of addresses.slice(0, 4)) {
    const tried = await dial(address, port);
    if (typeof tried !== "string") return { socket: tried };
    why = tried;
  }
  return { status: 502, why };
}

function dial(host: string, port: number): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const fail = (why: string) => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(CONNECT_MS, () => fail(`${host}:${port} does not answer`));
    socket.once("error", (error) => fail(error.message));
    socket.once("connect", () => {
      socket.setTimeout(IDLE_MS, () => socket.destroy());
      resolve(socket);
    });
  });
}

async function tunnel(
  { asked, inner, head }: { asked: IncomingMessage; inner: Duplex; head: Buffer },
  reach: Reach,
  keep: (socket: Duplex) => void,
): Promise<void> {
  inner.on("error", () => inner.destroy());
  const reached = await reach(asked.url ?? "");
  if ("why" in reached) {
    const text = `lazarus: ${reached.why}\n`;
    const lines = [
      `HTTP/1.1 ${reached.status} Refused`,
      "Content-Type: text/plain",
      `Content-Length: ${text.length}`,
    ];
    inner.end(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n${text}`);
    return;
  }
  const outer = reached.socket;
  keep(outer);
  outer.on("error", () => inner.destroy());
  outer.once("close", () => inner.destroy());
  inner.once("close", () => outer.destroy());
  if (inner.destroyed) return void outer.destroy();
  inner.write("HTTP/1.1 200 Connection established\r\n\r\n");
  outer.write(head);
  inner.pipe(outer).pipe(inner);
}

/**
 * Plain HTTP, one request a connection; the host is the one that was judged, whatever the request's own
 * header says.
 */
async function forward(asked: IncomingMessage, answer: ServerResponse, reach: Reach): Promise<void> {
  asked.on("error", () => {});
  const url = URL.canParse(asked.url ?? "") ? new URL(asked.url ?? "") : null;
  if (url === null || url.protocol !== "http:")
    return say(answer, 400, "only http:// and CONNECT are understood");
  const reached = await reach(`${url.hostname}:${url.port === "" ? 80 : url.port}`);
  if ("why" in reached) return say(answer, reached.status, reached.why);
  const headers = Object.entries(asked.headers).filter(([name]) => !HOP_HEADERS.includes(name));
  const onward = request({
    createConnection: () => reached.socket,
    method: asked.method ?? "GET",
    path: `${url.pathname}${url.search}`,
    headers: { ...Object.fromEntries(headers), host: url.host, connection: "close" },
  });
  onward.once("response", (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
    response.once("error", () => answer.destroy());
  });
  onward.on("error", (error) => (answer.headersSent ? answer.destroy() : say(answer, 502, error.message)));
  answer.once("close", () => reached.socket.destroy());
  asked.pipe(onward);
}

function say(answer: ServerResponse, status: number, why: string): void {
  answer.writeHead(status, { "content-type": "text/plain", connection: "close" }).end(`lazarus: ${why}\n`);
}
