import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export const REPOSITORY = "acme/app";
export const SECRET = "a secret of the bench";
export const FILE_COUNT = 6_000;

/** What the stand-in's process is asked: type this comment on that issue; null: on a new one. */
export interface ToForge {
  readonly text: string;
  readonly on: number | null;
}

/** A signed delivery, as it goes over the wire. */
export interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Of its issue. */
  readonly number: number;
}

export type FromForge =
  | { readonly kind: "ready"; readonly url: string; readonly token: string; readonly repositoryId: number }
  | ({ readonly kind: "typed" } & Delivery);

/** The stand-in, in another process. */
export interface ForgeProcess {
  readonly url: string;
  readonly token: string;
  readonly repositoryId: number;
  /** Types a comment on an issue, a new one unless said, and answers its delivery, which nobody has yet. */
  type(text: string, on?: number): Promise<Delivery>;
  stop(): Promise<void>;
}

/** Starts it with its repositories below `dir`; `acme/app` there has so many files. */
export async function startForge(dir: string, files = FILE_COUNT): Promise<ForgeProcess> {
  const program = join(import.meta.dirname, "forge-process.ts");
  const child = fork(program, [String(files)], { env: { ...process.env, TMPDIR: dir } });
  const ready = await next(child, "ready");
  return {
    url: ready.url,
    token: ready.token,
    repositoryId: ready.repositoryId,
    async type(text, on) {
      child.send({ text, on: on ?? null } satisfies ToForge);
      return next(child, "typed");
    },
    async stop() {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      if (child.connected) child.disconnect();
      await gone;
    },
  };
}

/** The next message of that kind; fails where the process ends before it. */
async function next<K extends FromForge["kind"]>(
  child: ChildProcess,
  kind: K,
): Promise<Extract<FromForge, { kind: K }>> {
  const gone = new AbortController();
  try {
    return await Promise.race([
      once(child, "message", { signal: gone.signal }).then(([message]) => {
        const said = message as FromForge;
        if (said.kind !== kind) throw new Error(`the stand-in said ${said.kind}, not ${kind}`);
        return said as Extract<FromForge, { kind: K }>;
      }),
      once(child, "exit", { signal: gone.signal }).then(([code]) => {
        throw new Error(`the stand-in's process ended with ${String(code)}`);
      }),
    ]);
  } finally {
    gone.abort();
  }
}
