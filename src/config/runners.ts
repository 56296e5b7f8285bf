import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type * as z from "zod";
import { key, optional, section } from "./keys.ts";
import { count, directory, type Kind, lists, pattern, secret, span, url } from "./kinds.ts";
import { buildSeals, checkSeals, SEALS_KEYS, type SealsConfig } from "./seals.ts";
import { at, type Need, type Tree, why } from "./source.ts";

/** How messages reach runners on other hosts. */
export interface RedisConfig {
  readonly kind: "redis";
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly isTls: boolean;
  readonly user: string | null;
  readonly password: string | null;
  /** Text of the certificates that it is trusted by, besides the system's. */
  readonly ca: string | null;
  /** Before the names of its queues; null: made from the registry's id. */
  readonly prefix: string | null;
}
/** `local`: all work is done in this process. */
export type QueueConfig = "local" | RedisConfig;

/** What a host says of itself as a runner. */
export interface RunnerConfig {
  /** Cells that may run here at the same time; null: `limits.cells`. */
  readonly slots: number | null;
  /** What agents' `runs_on` names. */
  readonly labels: readonly string[];
  /** The line that `lazarus runner add` printed; null: this is no runner of another control. */
  readonly join: string | null;
  /** Where control's git gate is reached from here; null: where the join line says. */
  readonly gate: string | null;
  readonly gateCaFile: string | null;
  /** Between two signs of life. */
  readonly beatMs: number;
}

/** How a runner may be called, and a label. */
export const RUNNER_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;

const queueAddress: Kind<string> = {
  what: "local, or the address of a Redis such as redis://host:6379/0 or rediss://host:6380/0",
  // It may hold a password.
  hidden: true,
  read(input) {
    if (input === "local") return input;
    if (typeof input !== "string" || !/^rediss?:\/\/\S+$/.test(input) || !URL.canParse(input))
      return undefined;
    const { hostname, pathname, search, hash } = new URL(input);
    return hostname !== "" && /^(\/\d{0,3})?$/.test(pathname) && search + hash === "" ? input : undefined;
  },
};

/** Keys at the top of the file about runners on other hosts. */
export const RUNNER_KEYS = {
  queue: key(
    queueAddress,
    "local",
    "how work reaches runners: `local`, or `redis://host:6379/0` (`rediss://` with TLS) where there are runners on other hosts ([more](runners.md))",
  ),
  queue_user: optional(pattern(/^\S+$/), "user of that Redis", "default"),
  queue_password: optional(secret, "its password"),
  queue_password_file: optional(directory, "file that holds the password, instead"),
  queue_ca_file: optional(directory, "certificates that Redis is trusted by, besides the system's"),
  queue_prefix: optional(
    pattern(/^[\w:-]{1,64}$/),
    "before the names of its queues",
    "made from the registry's id",
  ),
  ...SEALS_KEYS,
  runner: section({
    slots: optional(count(0), "cells that may run on this host at the same time; 0: none", "limits.cells"),
    labels: key(
      lists(pattern(RUNNER_NAME), 'a list of labels such as ["gpu"]'),
      [],
      "what agents' `runs_on` asks for",
    ),
    join: optional(secret, "on a runner: the line that `lazarus runner add` printed"),
    join_file: optional(directory, "file that holds that line, instead"),
    gate: optional(url, "on a runner: how it reaches Lazarus' server, for git", "`server.url` there"),
    gate_ca_file: optional(directory, "certificates that this server is trusted by, besides the system's"),
    beat: key(span, "10s", "on a runner: between two signs of life"),
  }).prefault({}),
};

const runnerKeys = section(RUNNER_KEYS);
type FileKeys = z.infer<typeof runnerKeys>;

/** What of the forge no runner may have: it would lie on a host where agents run. */
const NEVER_ON_RUNNERS = [
  ...["forge.token", "forge.token_file", "forge.rights_token", "forge.rights_token_file"],
  ...[
    "forge.webhook_secret",
    "forge.webhook_secret_file",
    "forge.webhook_secrets",
    "forge.webhook_secrets_file",
    "login.client_secret",
    "login.client_secret_file",
  ],
];

/** Names what a runner's file lacks, and what must not stand in it; in any file, what cannot be read. */
export function checkRunners(
  tree: Tree,
  around: { readonly base: string; readonly needs: readonly Need[]; fault(path: string, what: string): void },
): void {
  if (around.needs.includes("runner")) checkRunner(tree, around.fault);
  checkSeals(tree, around);
  for (const path of ["queue_ca_file", "seals_ca_file"]) {
    const why = unreadable(at(tree, path), around.base);
    if (why !== null) around.fault(path, why);
  }
}

function checkRunner(tree: Tree, fault: (path: string, what: string) => void): void {
  for (const path of ["seals_secret", "seals_secret_file"])
    if (at(tree, path) !== undefined)
      fault(
        path,
        "must not be on a runner, where agents run: it hands seals over to the server; take it out",
      );
  for (const path of NEVER_ON_RUNNERS)
    if (at(tree, path) !== undefined)
      fault(
        path,
        "must not be on a runner, where agents run: it pushes and fetches through the git gate; take it out",
      );
  if (at(tree, "runner.join") === undefined && at(tree, "runner.join_file") === undefined)
    fault("runner.join", "is missing: the line that `lazarus runner add NAME` prints (or runner.join_file)");
  if ((at(tree, "queue") ?? "local") === "local")
    fault("queue", "is local: a runner needs the Redis of its control, such as redis://host:6379/0");
}

/** @throws Error where `queue_ca_file` cannot be read. */
function buildQueue(file: FileKeys, base: string): QueueConfig {
  if (file.queue === "local") return "local";
  const { protocol, hostname, port, pathname, username, password } = new URL(file.queue);
  const ca =
    file.queue_ca_file === undefined ? null : readFileSync(resolve(base, file.queue_ca_file), "utf8");
  return {
    kind: "redis",
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? 6379 : Number(port),
    db: Number(pathname.slice(1) || 0),
    isTls: protocol === "rediss:",
    user: file.queue_user ?? (username === "" ? null : decodeURIComponent(username)),
    password: file.queue_password ?? (password === "" ? null : decodeURIComponent(password)),
    ca,
    prefix: file.queue_prefix ?? null,
  };
}

/** Whether the certificates can be read, in words; null: they can, or there are none. */
function unreadable(path: unknown, base: string): string | null {
  try {
    if (typeof path === "string") readFileSync(resolve(base, path));
    return null;
  } catch (error) {
    return `cannot be read: ${why(error)}`;
  }
}

function buildRunner({ runner }: Pick<FileKeys, "runner">, base: string): RunnerConfig {
  return {
    slots: runner.slots ?? null,
    labels: runner.labels,
    join: runner.join ?? null,
    gate: runner.gate ?? null,
    gateCaFile: runner.gate_ca_file === undefined ? null : resolve(base, runner.gate_ca_file),
    beatMs: runner.beat,
  };
}

/** How work reaches runners, and what this host is as one. */
export interface Runners {
  readonly queue: QueueConfig;
  readonly runner: RunnerConfig;
  readonly seals: SealsConfig;
}

/** The file's keys about runners in our terms. */
export function buildRunners(file: FileKeys, base: string): Runners {
  return {
    queue: buildQueue(file, base),
    runner: buildRunner(file, base),
    seals: buildSeals(file, base),
  };
}

/** What of both must never be shown. */
export function secretsOfRunner({ queue, runner, seals }: Runners): string[] {
  const password = queue === "local" ? null : queue.password;
  const secret = seals?.kind === "s3" ? seals.secret : null;
  return [password, runner.join, secret].filter((one) => one !== null);
}
