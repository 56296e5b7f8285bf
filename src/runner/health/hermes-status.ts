import http from "node:http";
import https from "node:https";
import { systemCode } from "../../errors.ts";
import type { HeartbeatWords } from "../../protocol/runner-port.ts";
import { readBeat } from "./heartbeat.ts";

const MOST_MS = 5_000;
const MOST_BYTES = 64 * 1024;

/** What a gateway answered: that it lives, in its own words, or why that cannot be told. */
export type GatewayAnswer = { readonly words: HeartbeatWords } | { readonly fault: string };

/**
 * Asks an agent's gateway how it is: 2xx is well, and nothing else is. No redirect is followed, no
 * credentials are sent (also none that stand in the address), at most 64 KB are read, and after 5 s there is
 * no answer. Null where `signal` ended it.
 */
export async function askGateway(
  address: string,
  how: { readonly redact: (text: string) => string; readonly signal: AbortSignal; readonly mostMs?: number },
): Promise<GatewayAnswer | null> {
  const url = new URL(address);
  if (url.protocol !== "http:" && url.protocol !== "https:") return { fault: "not an http address" };
  try {
    const { status, body } = await get(url, how.signal, how.mostMs ?? MOST_MS);
    if (status < 200 || status > 299) return { fault: `it answers ${status}` };
    return { words: wordsOf(body, how.redact) };
  } catch (error) {
    if (how.signal.aborted) return null;
    return { fault: error instanceof TooLate ? "not in time" : (systemCode(error) ?? "not in HTTP") };
  }
}

class TooLate extends Error {}

function get(url: URL, signal: AbortSignal, mostMs: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    // `AbortSignal.any` may forget a time limit: Node 20 lets the collector take it (nodejs/node#57736).
    const clock = setTimeout(() => {
      reject(new TooLate());
      asked.destroy();
    }, mostMs);
    const asked = (url.protocol === "https:" ? https : http).request({
      hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port,
      path: url.pathname + url.search,
      headers: { accept: "application/json", host: url.host },
      agent: false,
      signal,
    });
    asked.once("error", reject);
    asked.once("close", () => clearTimeout(clock));
    asked.once("response", (answer) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      const end = () => {
        asked.destroy();
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString("utf8") });
      };
      answer.on("data", (part: Buffer) => {
        bytes += part.length;
        if (bytes <= MOST_BYTES) return void parts.push(part);
        // What it is can be told by the status; the rest of what it says is not waited for.
        parts.length = 0;
        end();
      });
      answer.once("end", end);
      answer.once("error", reject);
    });
    asked.end();
  });
}

/** `status` (as Hermes has it) or `state`, and a `message`, where the body is a JSON object. */
function wordsOf(body: string, redact: (text: string) => string): HeartbeatWords {
  const well: HeartbeatWords = { state: "ok", message: null, progress: null };
  try {
    const { status, state, message } = Object(JSON.parse(body)) as Record<string, unknown>;
    const named = [status, state].find((one) => typeof one === "string") ?? well.state;
    const told = typeof message === "string" ? message.slice(0, 1_000) : null;
    return readBeat(JSON.stringify({ state: String(named).slice(0, 200), message: told }), redact) ?? well;
  } catch {
    // It answered, in words of its own.
    return well;
  }
}
