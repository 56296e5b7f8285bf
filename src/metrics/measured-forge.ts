import { LazarusError } from "../errors.ts";
import type { Forge } from "../gitea/port.ts";
import { count, took } from "../meter.ts";

/** The same forge, which tells how long each call took and how it was answered. */
export function measuredForge(forge: Forge): Forge {
  return new Proxy(forge, {
    get(target, key, receiver) {
      const method: unknown = Reflect.get(target, key, receiver);
      if (typeof method !== "function" || typeof key !== "string") return method;
      return async (...given: unknown[]) => {
        const from = performance.now();
        let code = "ok";
        try {
          return await method.apply(target, given);
        } catch (error) {
          code = codeOf(error);
          throw error;
        } finally {
          took("forge_request_seconds", (performance.now() - from) / 1000, { call: key });
          count("forge_requests_total", { call: key, code });
        }
      };
    },
  });
}

/** `unreachable` (no answer, or 5xx), `token` (401), `refused` (other 4xx), `answer` (not understood). */
function codeOf(error: unknown): string {
  if (!(error instanceof LazarusError)) return "answer";
  if (error.code === "forge-unreachable") return "unreachable";
  if (error.code !== "forge-refused") return "answer";
  return error.retryable ? "token" : "refused";
}
