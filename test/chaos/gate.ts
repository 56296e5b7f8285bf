import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * An address on the way to a server: connections are passed on, refused as by a machine that is down, or
 * held as where the network between two machines is cut.
 */
export class Gate {
  readonly port: number;
  readonly #to: number;
  readonly #sockets = new Map<Socket, Socket>();
  #server: Server | null;
  #isHeld = false;

  private constructor(to: number, server: Server) {
    this.#to = to;
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open(to: number): Promise<Gate> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const gate = new Gate(to, server);
    server.on("connection", (socket) => gate.#pass(socket));
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts what is connected and takes nothing new. */
  async shut(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets.keys()) socket.resetAndDestroy();
    await closed;
  }

  /** From now on nothing comes through, and nobody is told. */
  hold(): void {
    this.#isHeld = true;
    for (const [socket, other] of this.#sockets) socket.unpipe(other).pause();
  }

  /** What was on its way arrives. */
  release(): void {
    this.#isHeld = false;
    for (const [socket, other] of this.#sockets) socket.pipe(other);
  }

  async reopen(): Promise<void> {
    const server = createServer((socket) => this.#pass(socket));
    server.listen(this.port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }

  #pass(inner: Socket): void {
    const outer = connect(this.#to, "127.0.0.1");
    for (const [socket, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      this.#sockets.set(socket, other);
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      if (!this.#isHeld) socket.pipe(other);
    }
  }
}

/**
 * A port below those that the system gives out by itself: a server that is down for a while must find its own
 * again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((answer) => {
      server.once("error", () => answer(false));
      server.listen(port, "127.0.0.1", () => answer(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
