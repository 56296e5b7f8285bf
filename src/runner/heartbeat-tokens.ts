import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { AgentConfig } from "../config/config.ts";
import { openKeyFile } from "../key-file.ts";
import { CELL_TOKEN_PREFIX } from "../secret-forms.ts";

/**
 * How agents send heartbeats by HTTP: each cell has a token of its own, derived from one key and stored
 * nowhere.
 */
export interface HeartbeatAccess {
  /**
   * `LAZARUS_HEARTBEAT_URL` and `LAZARUS_HEARTBEAT_TOKEN`, where somebody listens and the agent can reach
   * them; else nothing.
   */
  environmentOf(cellId: string, agent: Pick<AgentConfig, "backend" | "network">): Record<string, string>;
  /** Whether that is the cell's token; takes as long for any text and any id, known or not. */
  isToken(cellId: string, given: string): boolean;
  /** Tells whether a secret's value is the one that was marked, and nothing else of it. */
  markOf(name: string, value: string): string;
  /** From now on somebody listens there: `http://127.0.0.1:8420`. */
  listensAt(url: string): void;
}

const KEY_FILE = "heartbeat.key";
/** What it means to be without it. */
const LOST = "agents that run meanwhile can send no more heartbeats by HTTP";

/**
 * `<data>/heartbeat.key` is made where it is missing. `publicUrl`: how people reach the server.
 * @throws LazarusError `registry-unusable` where the key cannot be read or made.
 */
export function openHeartbeatAccess(dataDir: string, publicUrl: string): HeartbeatAccess {
  const key = openKeyFile(dataDir, KEY_FILE, LOST);
  let listening: string | null = null;
  const tokenOf = (cellId: string) =>
    `${CELL_TOKEN_PREFIX}${createHmac("sha256", key).update(`heartbeat of cell ${cellId}`).digest("hex")}`;
  return {
    environmentOf(cellId, agent) {
      const base = listening === null ? null : reachable(agent, { listening, publicUrl });
      if (base === null) return {};
      return {
        LAZARUS_HEARTBEAT_URL: `${base.replace(/\/+$/, "")}/cells/${cellId}/heartbeat`,
        LAZARUS_HEARTBEAT_TOKEN: tokenOf(cellId),
      };
    },
    markOf: (name, value) => createHmac("sha256", key).update(`secret ${name}=${value}`).digest("hex"),
    isToken: (cellId, given) => timingSafeEqual(digest(given), digest(tokenOf(cellId))),
    listensAt(url) {
      listening = url;
    },
  };
}

/** Of equal length, whatever was given. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * A plain process, and a sandbox with the whole network, are on this host; a container with the network has
 * an address of its own, and reaches us only where others do. Listed hosts and none do not lead here.
 */
function reachable(
  agent: Pick<AgentConfig, "backend" | "network">,
  at: { readonly listening: string; readonly publicUrl: string },
): string | null {
  if (agent.backend === "process") return fromHere(at.listening);
  if (agent.network !== "full") return null;
  if (agent.backend === "sandbox") return fromHere(at.listening);
  return isLocal(new URL(at.publicUrl).hostname) ? null : at.publicUrl;
}

/** What listens on every address is reached at the loopback. */
function fromHere(listening: string): string {
  const url = new URL(listening);
  if (url.hostname === "0.0.0.0") url.hostname = "127.0.0.1";
  if (url.hostname === "[::]") url.hostname = "[::1]";
  return url.origin;
}

function isLocal(hostname: string): boolean {
  return /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/.test(hostname);
}
