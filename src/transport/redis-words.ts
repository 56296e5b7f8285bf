import { explain } from "../errors.ts";
import type { Log } from "../log.ts";

/** What this is written for. @see docs/runners.md */
const LEAST_VERSION = [6, 2] as const;

/** What is wrong with the Redis, said once until it is over. */
export function createTrouble({ where, log }: { readonly where: string; readonly log: Log }) {
  let why: string | null = null;
  return {
    why: () => why,
    failed(error: unknown) {
      const now = `${where}: ${inWords(error)}`;
      // Why it does not answer was told before, and says more.
      if (now === why || (why !== null && now === `${where}: ${SILENT}`)) return;
      if (why === null) log.warn({ why: now }, "runners cannot be reached just now; their work waits");
      why = now;
    },
    worked() {
      if (why !== null) log.info({ where }, "Redis can be reached again");
      why = null;
    },
  };
}

/** What Redis, or the way to it, means, and what to do about it. */
export function inWords(error: unknown): string {
  const said = explain(error);
  for (const [form, words] of MEANINGS) if (form.test(said)) return words;
  return said.slice(0, 300);
}

const SILENT = "it does not answer";
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/WRONGPASS|invalid username-password/, "it refuses the user or the password (queue_user, queue_password)"],
  [/NOAUTH/, "it wants a password (queue_password, or queue_password_file)"],
  [/NOPERM/, "its user may not do what is needed: docs/runners.md has the rights"],
  [/OOM command not allowed/, "it is full (maxmemory): give it more memory"],
  [/READONLY/, "it is a replica, which takes no writes: name the primary"],
  [/MISCONF/, "it cannot save to its disk, and takes no writes until it can"],
  [/ECONNREFUSED/, "nobody listens there (connection refused): is it running?"],
  [/ENOTFOUND|EAI_AGAIN/, "its name is not known"],
  [/altnames|ALTNAME/i, "its certificate is for another name than queue says"],
  [
    /wrong version number|EPROTO|packet length too long/i,
    "it speaks no TLS there: redis://, or its TLS port",
  ],
  [
    /ECONNRESET|socket hang up|Protocol error/i,
    "it ends the connection at once: does it want TLS (rediss://)?",
  ],
  [
    /certificate|self.signed|unable to get (local )?issuer/i,
    "its certificate is not trusted (queue_ca_file)",
  ],
  [/writeable|offline queue|Connection is closed|ETIMEDOUT|timed? ?out|max retries/i, SILENT],
];

/** What of a Redis' settings loses messages or holds them up, as `INFO` and `CONFIG GET` tell it. */
export interface RedisFacts {
  readonly version: string | null;
  readonly policy: string | null;
  /** `aof`, `rdb` or `none`; null where it may not be asked. */
  readonly persistence: "aof" | "rdb" | "none" | null;
  readonly roundTripMs: number;
}

/** What to say of them; empty where nothing is wrong. */
export function aboutRedis({ version, policy, persistence }: RedisFacts): string[] {
  const [major = 0, minor = 0] = (version ?? "").split(".").map(Number);
  const isOld =
    version !== null &&
    (major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]));
  return [
    ...(isOld ? [`it is Redis ${version}: ${LEAST_VERSION.join(".")} or newer is needed`] : []),
    ...(policy !== null && policy !== "noeviction"
      ? [`its maxmemory-policy is ${policy}, which may throw messages away: set it to noeviction`]
      : []),
    ...(persistence === "none"
      ? [
          "it keeps nothing on disk: when it restarts, messages are sent again, which takes a moment; nothing is lost",
        ]
      : []),
  ];
}
