import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { type Clock, sleep } from "../clock.ts";
import type { Environment } from "../config/config.ts";
import { explain, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";

/** Tells the service manager that started us how we are; says nothing where none asked. @see sd_notify(3) */
export interface Notifier {
  /** At work; from here on the watchdog is fed while the event loop turns, where the unit has one. */
  ready(status: string): Promise<void>;
  /** One line for `systemctl status`. */
  status(text: string): Promise<void>;
  /** On the way out. */
  stopping(): Promise<void>;
}

export interface NotifierOptions {
  readonly env: Environment;
  readonly pid: number;
  readonly clock: Clock;
  readonly log: Log;
}

const SILENT: Notifier = { ready: async () => {}, status: async () => {}, stopping: async () => {} };
/** A manager that is busy takes a datagram a moment later. */
const AGAIN_MS = 50;
const ATTEMPTS = 20;
/** Of `sockaddr_un`, without the byte that ends it. */
const LONGEST_PATH = 107;

/**
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. A word that cannot be delivered is logged, once until
 * one can be again.
 */
export function createNotifier({ env, pid, clock, log }: NotifierOptions): Notifier {
  const socket = env.NOTIFY_SOCKET;
  if (!socket) return SILENT;
  let isHeard = true;
  const tell = async (...lines: string[]) => {
    try {
      await deliver(lines, { socket, path: env.PATH ?? "", clock });
      isHeard = true;
    } catch (error) {
      if (isHeard) log.warn({ socket, why: explain(error) }, "the service manager could not be told");
      isHeard = false;
    }
  };
  const watchdogMs = watchdogOf(env, pid);
  const feed = () => {
    clock.after(watchdogMs / 2, () => {
      void tell("WATCHDOG=1");
      feed();
    });
  };
  return {
    async ready(status) {
      await tell("READY=1", `STATUS=${oneLine(status)}`);
      if (watchdogMs > 0) feed();
    },
    status: (text) => tell(`STATUS=${oneLine(text)}`),
    stopping: () => tell("STOPPING=1"),
  };
}

/** 0: nobody waits for a sign of life of this process. */
function watchdogOf(env: Environment, pid: number): number {
  const usec = env.WATCHDOG_USEC ?? "";
  const isOurs = !env.WATCHDOG_PID || env.WATCHDOG_PID === String(pid);
  return isOurs && /^[1-9]\d{0,15}$/.test(usec) ? Number(usec) / 1000 : 0;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, " ");
}

interface Address {
  readonly socket: string;
  /** PATH, to find `systemd-notify` by. */
  readonly path: string;
  readonly clock: Clock;
}

/**
 * By a datagram of our own, which is what a unit believes: with `NotifyAccess=main` only the main process is
 * heard, and anything wider would hear agents, too. Where that cannot be (abstract sockets, a machine that
 * could not compile the package) `systemd-notify` is asked.
 */
async function deliver(lines: readonly string[], to: Address): Promise<void> {
  const { default: dgram } = await import("unix-dgram").catch(() => ({ default: null }));
  if (dgram === null || !to.socket.startsWith("/")) return ask(lines, to);
  if (Buffer.byteLength(to.socket) > LONGEST_PATH)
    throw new LazarusError("usage", `NOTIFY_SOCKET is longer than ${LONGEST_PATH} bytes`);
  const bytes = Buffer.from(lines.join("\n"));
  for (let attempt = 1; ; attempt++) {
    const code = send(dgram, bytes, to.socket);
    if (code === 0) return;
    if (code !== -constants.errno.EAGAIN || attempt === ATTEMPTS)
      throw new LazarusError("internal", `sending a datagram to ${to.socket}: error ${-code}`);
    await sleep(to.clock, AGAIN_MS);
  }
}

type Dgram = typeof import("unix-dgram")["default"];

/** 0, or a negative errno. The socket lives for one word, since an open one would keep the process alive. */
function send(dgram: Dgram, bytes: Buffer, path: string): number {
  const socket = dgram.createSocket("unix_dgram");
  let code = 0;
  try {
    socket.send(bytes, 0, bytes.length, path, (error) => {
      code = error?.code ?? 0;
    });
  } finally {
    socket.close();
  }
  return code;
}

async function ask(lines: readonly string[], { socket, path }: Address): Promise<void> {
  const child = spawn("systemd-notify", lines, {
    env: { PATH: path, NOTIFY_SOCKET: socket },
    stdio: "ignore",
  });
  // A program that is not there is an error event, which once() throws.
  const [code, signal] = await once(child, "exit");
  if (code === 0) return;
  throw new LazarusError(
    "internal",
    `systemd-notify ended with ${code ?? signal}; NotifyAccess must let it speak`,
  );
}
