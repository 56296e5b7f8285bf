import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Server as SocketServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { CellUser, RunSpec } from "../../src/backends/backend.ts";

/**
 * A process that an agent must neither look into nor touch: it has a secret in its environment, arguments,
 * memory and open files.
 */
export interface Victim {
  readonly pid: number;
  isAlive(): boolean;
}

/**
 * What lies around a cell on a machine where Lazarus is at work: its configuration and registry, mirrors,
 * another cell, and living processes. Each holds a canary, a text that nobody can guess; whoever shows one
 * has read it, and what is written is seen from outside.
 */
export interface Ground {
  readonly root: string;
  readonly user: CellUser | null;
  /** Paths of what is worth reading or writing, by name. */
  readonly at: Readonly<Record<Name, string>>;
  /** The canary that is hidden there. */
  canary(name: Name | "process" | "argument" | "neighbour" | "inherited"): string;
  readonly lazarus: Victim;
  readonly neighbour: Victim;
  /** Answers over HTTP on the host's loopback, and on two sockets of the host. */
  readonly port: number;
  /** Another port there, which an agent may be given. */
  readonly listed: number;
  readonly abstract: string;
  /** What has reached them. */
  readonly hits: string[];
  spec(text: string, more: Partial<RunSpec>): RunSpec;
  /** Puts everything back as it was. */
  restore(): void;
  remove(): void;
}

/** Memory that all processes of the machine share. */
const SHARED = "/dev/shm";

const FILES = {
  config: "etc/lazarus.yaml",
  registry: "data/lazarus.db",
  program: "program/lazarus.js",
  mirror: "data/mirrors/other.git/objects/canary",
  ownMirror: "data/mirrors/app.git/config",
  quarantine: "data/quarantine/canary",
  otherWork: "missions/neighbour/worktree/secret.txt",
  otherHome: "missions/neighbour/home/allegro/credentials.json",
  otherArtifact: "missions/neighbour/artifacts/report.md",
  otherBrief: "missions/neighbour/config/brief.md",
  otherHook: "missions/neighbour/worktree/.git/hooks/pre-commit",
  otherLog: "missions/neighbour/logs/allegro-1.log",
  ownMeta: "missions/own/meta/cell.json",
  ownState: "missions/own/state/exit.json",
  ownBrief: "missions/own/config/brief.md",
  ownArchive: "missions/own/archive/manifest.json",
  othersTmp: "tmp/of-somebody-else",
  hostKey: "etc/ssh_host_key",
  socket: "run/agent.sock",
} as const;
export type Name = keyof typeof FILES;

const OWN = ["worktree", "artifacts", "home/allegro"] as const;

/**
 * Makes it; with a user, the cell is that user's and the other cell that of the next one, as where Lazarus is
 * root.
 */
export async function layGround(user: CellUser | null): Promise<Ground> {
  const root = mkdtempSync(join(tmpdir(), "lazarus-attack-"));
  const at = Object.fromEntries(
    Object.entries(FILES).map(([name, path]) => [name, join(root, path)]),
  ) as Record<Name, string>;
  const salt = crypto.randomUUID();
  const canary = (name: string) => `canary-${name}-${salt}`;
  const names = (Object.keys(FILES) as Name[]).filter((name) => name !== "socket");
  const restore = () => {
    for (const name of names) {
      mkdirSync(dirname(at[name]), { recursive: true });
      writeFileSync(at[name], `${canary(name)}\n`);
      chmodSync(at[name], name === "program" || name === "ownBrief" ? 0o644 : 0o600);
    }
    for (const dir of OWN) mkdirSync(join(root, "missions/own", dir), { recursive: true });
    mkdirSync(join(root, "run"), { recursive: true });
    setModes(root, user);
  };
  restore();

  const hits: string[] = [];
  const abstract = `lazarus-attack-${salt}`;
  const { port, listed, servers } = await listenAround({ root, abstract, hits });
  const cellId = crypto.randomUUID();
  const cell = join(root, "missions/own");
  const home = join(cell, "home/allegro");
  let runs = 0;
  const victims = [
    await startVictim({ at: at.config, name: "process", canary, user: null }),
    await startVictim({ at: at.otherHome, name: "neighbour", canary, user: nextOf(user) }),
  ] as const;

  return {
    ...{ root, user, at, canary, port, listed, abstract, hits, restore },
    lazarus: victims[0],
    neighbour: victims[1],
    spec(text, more) {
      const stateDir = join(cell, "state", String(++runs));
      mkdirSync(stateDir, { recursive: true, mode: 0o700 });
      mkdirSync(join(cell, "logs"), { recursive: true, mode: 0o700 });
      return {
        cellId,
        dirs: {
          ...{ cell, home, worktree: join(cell, "worktree"), artifacts: join(cell, "artifacts") },
          ...{ brief: at.ownBrief, prompt: at.ownBrief, mirror: join(root, "data/mirrors/app.git") },
        },
        env: { LAZARUS_CELL: cellId, PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home },
        role: "executor",
        limits: { memoryBytes: null, processes: null, fileBytes: null, openFiles: null },
        ...{ network: "none", paths: [], image: null, user, run: runs, agent: "allegro", stdinPath: null },
        ...{ command: ["sh", "-c", text], logPath: join(cell, "logs", `allegro-${runs}.log`), stateDir },
        ...more,
      };
    },
    remove() {
      for (const victim of victims) victim.end();
      for (const server of servers) server.close();
      rmSync(root, { recursive: true, force: true });
      // Whoever takes memory there is killed before it can clear it away.
      for (const name of readdirSync(SHARED).filter((one) => one.startsWith("lazarus-attack-")))
        rmSync(join(SHARED, name), { force: true });
    },
  };
}

function nextOf(user: CellUser | null): CellUser | null {
  return user === null ? null : { ...user, uid: user.uid + 1, gid: user.gid + 1 };
}

/** Modes and owners as in mission-cell.md. */
function setModes(root: string, user: CellUser | null): void {
  const mode = (path: string, bits: number) => chmodSync(join(root, path), bits);
  for (const path of [
    "",
    "data",
    "data/mirrors",
    "missions",
    "missions/own",
    "missions/own/config",
    "missions/own/home",
    "program",
  ])
    mode(path, path === "program" || path.endsWith("config") ? 0o755 : 0o711);
  for (const path of [
    "etc",
    "data/quarantine",
    "missions/own/meta",
    "missions/own/state",
    "missions/own/archive",
    "run",
  ])
    mode(path, 0o700);
  mode("tmp", 0o1777);
  mode("missions/neighbour", 0o711);
  if (user === null) return;
  const theirs = nextOf(user);
  for (const [cell, owner] of [
    ["own", user],
    ["neighbour", theirs],
  ] as const) {
    for (const dir of ["worktree", "artifacts", "home", "home/allegro"]) {
      mode(join("missions", cell, dir), 0o700);
      chownSync(join(root, "missions", cell, dir), owner?.uid ?? 0, owner?.gid ?? 0);
    }
  }
}

async function listenAround(where: {
  root: string;
  abstract: string;
  hits: string[];
}): Promise<{ port: number; listed: number; servers: readonly (Server | SocketServer)[] }> {
  const http = createServer((request, answer) => {
    where.hits.push(`http ${request.url}`);
    answer.end("inside the host\n");
  });
  const sockets = [join(where.root, "run/agent.sock"), `\0${where.abstract}`].map((path, index) =>
    createSocketServer((socket) => {
      where.hits.push(index === 0 ? "socket" : "abstract");
      socket.on("error", () => {});
      socket.end("hello\n");
    }).listen({ path }),
  );
  http.listen(0, "127.0.0.1");
  const model = createServer((_request, answer) => void answer.end("a model\n")).listen(0, "127.0.0.1");
  await Promise.all(
    [http, model, ...sockets].map((server) => new Promise((resolve) => server.once("listening", resolve))),
  );
  const portOf = (server: Server) => (server.address() as AddressInfo).port;
  return { port: portOf(http), listed: portOf(model), servers: [http, model, ...sockets] };
}

/** Waits for a line that never comes; what it reads lies open at its descriptor 9. */
async function startVictim(how: {
  at: string;
  name: "process" | "neighbour";
  canary: (name: string) => string;
  user: CellUser | null;
}): Promise<Victim & { end(): void }> {
  const script = "exec 9<&3; echo ready; read line";
  // Opened by us: a user may not enter the way to it.
  const open = openSync(how.at, "r");
  const child: ChildProcess = spawn("/bin/sh", ["-c", script, "sh", how.canary("argument")], {
    stdio: ["pipe", "pipe", "ignore", open],
    cwd: dirname(how.at),
    env: { PATH: "/usr/bin:/bin", LAZARUS_FORGE_TOKEN: how.canary(how.name) },
    ...(how.user === null ? {} : { uid: how.user.uid, gid: how.user.gid }),
  });
  closeSync(open);
  await new Promise((resolve, reject) => {
    child.stdout?.once("data", resolve);
    child.once("exit", () => reject(new Error("a victim did not start")));
  });
  return {
    pid: child.pid ?? 0,
    isAlive: () => {
      // A signal is sent at once, and taken when the kernel comes to it.
      const end = performance.now() + SETTLE_MS;
      while (performance.now() < end) if (isStopped(child.pid ?? 0)) return false;
      return true;
    },
    end: () => void child.kill("SIGKILL"),
  };
}

const SETTLE_MS = 60;

function isStopped(pid: number): boolean {
  try {
    return /\) [ZXT] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return true;
  }
}
