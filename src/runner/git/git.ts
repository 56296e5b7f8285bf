import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { simpleGit } from "simple-git";
import type { CellUser } from "../../backends/backend.ts";
import { asUser } from "../../backends/os/user.ts";
import { LazarusError, saysDiskFull } from "../../errors.ts";
import {
  limitScript,
  overCpu,
  overFile,
  overMemory,
  overOutput,
  overTime,
  ownWords,
  saysFileTooLarge,
  saysOutOfCpu,
  saysOutOfMemory,
  type WorkLimits,
} from "../confined.ts";
import { endMarked, MARK } from "./marked.ts";
import { httpRefusal, isUnreachable, movedError, refusalSentence, usefulLine } from "./refusal.ts";
import { startSimply } from "./simple-start.ts";

/** Where the bot's git may talk to, and with what. */
export interface Remote {
  /** Root URL of the forge: the token is sent below it and nowhere else. */
  readonly url: string;
  /** Or the one for a call with these arguments. */
  readonly token: string | ((args: readonly string[]) => string);
  readonly caFile: string | null;
  /** `HTTPS_PROXY`, `NO_PROXY` and the like. */
  readonly proxyEnv: Readonly<Record<string, string>>;
}

export interface GitOptions {
  /** A directory of ours where git finds no configuration. */
  readonly home: string;
  readonly path: string;
  readonly remote: Remote;
  readonly redact: (text: string) => string;
  /** Of each git; the clock only where nobody else is waited for. */
  readonly limits: WorkLimits;
  /** How long a remote call may print nothing, in milliseconds. Default two minutes. */
  readonly silentMs?: number;
}

export interface GitCall {
  /** Working directory; it must exist. Never a tree that an agent could write. */
  readonly dir: string;
  readonly args: readonly string[];
  /** What is being done, for the error: `fetching acme/app`. */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  /** Whose rights it has instead of ours: a user who owns `dir` and may enter it. */
  readonly user?: CellUser | null;
  /** Sends the token to the forge, allows http, and gives up where the forge falls silent (`silentMs`). */
  readonly remote?: boolean;
  /** Allows reading a bundle or repository of ours by its path. */
  readonly files?: boolean;
  readonly config?: Readonly<Record<string, string>>;
  /** Wall clock, where the usual five minutes are too short; a remote call has none unless told so. */
  readonly mostMs?: number;
  /** Answers instead of throwing when git leaves with a code other than 0. */
  readonly tolerant?: boolean;
  /**
   * Git is ended when it prints more, or complains as much, with the code `TOO_MUCH`: a few bytes of a
   * pack may stand for gigabytes. Default 64 MB.
   */
  readonly mostBytes?: number;
}

export interface GitEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Git as another child of ours may start it. */
export interface GitChild {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs git with the bot's rights, hardened and under limits. */
export interface Git {
  (call: GitCall): Promise<GitEnd>;
  /** The same for a child that reads what it prints. */
  child(call: Pick<GitCall, "dir" | "args" | "config">): GitChild;
}

/** The variable with the words that go before git. */
const AS = "LAZARUS_AS";
const SILENT_MS = 120_000;
const MOST_BYTES = 64 * 1024 ** 2;
/** The code of a git that was ended because it printed too much; none of what it printed is answered. */
export const TOO_MUCH = -1;

/** Nothing of the machine's or a repository's configuration may run a program or send us elsewhere. */
const HARDENING: Readonly<Record<string, string>> = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.attributesFile": "/dev/null",
  "core.askPass": "",
  "credential.helper": "",
  "protocol.allow": "never",
  "http.followRedirects": "false",
  "submodule.recurse": "false",
  "fetch.recurseSubmodules": "false",
  "gc.auto": "0",
  "maintenance.auto": "false",
  "init.defaultBranch": "main",
  "advice.detachedHead": "false",
};

/**
 * Git for the runner: no configuration but ours, no hooks, no helpers, no prompts, no redirects; the token
 * only in the environment and only for the forge's URL.
 * @throws LazarusError `git`: what was being done and git's last useful line, redacted; retryable unless the
 * forge refused. `over-limit`: more memory, CPU or time than allowed, or a larger file, also of a call that
 * tolerates failures; more output, of one that does not.
 */
export function createGit(options: GitOptions): Git {
  const limited = join(options.home, "limited-git.sh");
  writeFileSync(limited, `${limitScript(options.limits, `$${AS} git "$@"`)}\n`, { mode: 0o600 });
  const run = async (call: GitCall): Promise<GitEnd> => {
    const end = await spawnGit({ ...options, limited }, call);
    if (end.code !== 0 && saysOutOfMemory(end.stderr)) throw overMemory(call.doing, options.limits);
    if (end.code !== 0 && saysFileTooLarge(end.stderr)) throw overFile(call.doing, options.limits);
    if (end.code !== 0 && saysOutOfCpu(end.stderr)) throw overCpu(call.doing);
    if (end.code === TOO_MUCH && call.tolerant !== true) throw overOutput(call.doing, mostOf(call));
    if (end.code !== 0 && call.tolerant !== true) throw gitError(options, call, end);
    return end;
  };
  const child = (call: Pick<GitCall, "dir" | "args" | "config">): GitChild => ({
    command: "/bin/sh",
    args: [limited, ...call.args],
    cwd: call.dir,
    env: environment(options, call),
  });
  return Object.assign(run, { child });
}

function mostOf(call: GitCall): number {
  return call.mostBytes ?? MOST_BYTES;
}

async function spawnGit(options: GitOptions & { readonly limited: string }, call: GitCall): Promise<GitEnd> {
  call.signal?.throwIfAborted();
  let seen: GitEnd | undefined;
  const [tooMuch, tooLong, silent] = [new AbortController(), new AbortController(), new AbortController()];
  const limits = { ...options.limits, mostMs: call.mostMs ?? options.limits.mostMs };
  const isTimed = call.remote !== true || call.mostMs !== undefined;
  const clock = isTimed ? setTimeout(() => tooLong.abort(), limits.mostMs) : undefined;
  const silentMs = options.silentMs ?? SILENT_MS;
  const silence = call.remote === true ? setTimeout(() => silent.abort(), silentMs) : undefined;
  const mark = crypto.randomUUID();
  const env = { ...environment(options, call), [MARK]: mark };
  const ending = AbortSignal.any([
    ...[tooMuch.signal, tooLong.signal, silent.signal],
    ...(call.signal === undefined ? [] : [call.signal]),
  ]);
  // What git started lives on without it, and holds its output open: nobody would ever be answered.
  let ended: Promise<unknown> = Promise.resolve();
  ending.addEventListener("abort", () => {
    ended = endMarked(mark);
  });
  const git = simpleGit({
    baseDir: call.dir,
    binary: ["/bin/sh", options.limited],
    abort: ending,
    // Untold, simple-git waits 50 ms after the exit and takes what was read by then: on a busy machine that
    // may be nothing.
    completion: { onClose: true, onExit: false },
    errors(error, result) {
      seen = {
        code: result.exitCode,
        stdout: Buffer.concat(result.stdOut).toString("utf8"),
        stderr: Buffer.concat(result.stdErr).toString("utf8"),
      };
      return error;
    },
    // simple-git refuses these by name because a caller's users might set them; here they are what locks git
    // down.
    allowEnvironment: Object.keys(env),
    unsafe: {
      // The path of our own script may hold a blank.
      allowUnsafeCustomBinary: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeHooksPath: true,
      allowUnsafeFsMonitor: true,
      allowUnsafeCredentialHelper: true,
      allowUnsafeAskPass: true,
      allowUnsafeProtocolOverride: true,
      // Only ever `--template=`: none.
      allowUnsafeTemplateDir: true,
    },
  })
    .env(env)
    // simple-git waits 50 ms more for the output of a program that printed nothing; most of our calls print
    // nothing.
    .outputHandler((_command, stdout, stderr) => {
      for (const stream of [stdout, stderr]) {
        let room = mostOf(call);
        stream.on("data", (chunk: Buffer) => {
          silence?.refresh();
          room -= chunk.length;
          if (room < 0) tooMuch.abort();
        });
      }
      queueMicrotask(() => stdout.emit("data", Buffer.alloc(0)));
    });
  try {
    const stdout = await startSimply(call.doing, () => git.raw([...call.args]));
    return seen ?? { code: 0, stdout, stderr: "" };
  } catch (error) {
    await ended;
    call.signal?.throwIfAborted();
    if (tooLong.signal.aborted) throw overTime(call.doing, limits);
    if (tooMuch.signal.aborted) return { code: TOO_MUCH, stdout: "", stderr: "fatal: it printed too much" };
    if (silent.signal.aborted) {
      const message = `${call.doing}: the forge sends nothing for ${Math.round(silentMs / 1000)} s`;
      throw new LazarusError("forge-unreachable", message, { retryable: true });
    }
    if (seen !== undefined && seen.code > 0) return seen;
    if (error instanceof LazarusError) throw error;
    // No exit code: killed.
    const code = call.remote === true ? "forge-unreachable" : "git";
    throw new LazarusError(code, `${call.doing}: ${options.redact(firstLine(error))}`, { retryable: true });
  } finally {
    clearTimeout(clock);
    clearTimeout(silence);
  }
}

function environment(
  options: GitOptions,
  call: Pick<GitCall, "args" | "config" | "files" | "remote" | "user">,
): Record<string, string> {
  const { user = null } = call;
  const config: Record<string, string> = { ...HARDENING, ...call.config };
  if (call.files === true) config["protocol.file.allow"] = "always";
  if (call.remote === true) {
    config["protocol.http.allow"] = "always";
    config["protocol.https.allow"] = "always";
    const { token } = options.remote;
    const secret = typeof token === "string" ? token : token(call.args);
    const basic = Buffer.from(`lazarus:${secret}`).toString("base64");
    config[`http.${options.remote.url.replace(/\/+$/, "")}/.extraHeader`] = `Authorization: Basic ${basic}`;
    if (options.remote.caFile !== null) config["http.sslCAInfo"] = options.remote.caFile;
  }
  const env: Record<string, string> = {
    PATH: options.path,
    // That user may not even look whether ours holds something.
    HOME: user === null ? options.home : "/",
    [AS]: asUser(user, []).join(" "),
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_NO_REPLACE_OBJECTS: "1",
    GIT_CEILING_DIRECTORIES: "/",
    ...(call.remote === true ? options.remote.proxyEnv : {}),
    GIT_CONFIG_COUNT: String(Object.keys(config).length),
  };
  for (const [index, [key, value]] of Object.entries(config).entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = key;
    env[`GIT_CONFIG_VALUE_${index}`] = value;
  }
  return env;
}

function gitError(options: GitOptions, call: GitCall, end: GitEnd): LazarusError {
  const refusal = call.remote === true ? httpRefusal(end.stderr) : null;
  if (refusal === "moved") return movedError(call.doing);
  if (refusal !== null) return new LazarusError("git", `${call.doing}: ${refusalSentence(refusal)}`);
  if (saysDiskFull(ownWords(end.stderr))) {
    return new LazarusError("disk-full", `${call.doing}: no space left on the device`, { retryable: true });
  }
  const line = options.redact(usefulLine(end.stderr));
  const message = `${call.doing}: git exited ${end.code}${line === "" ? "" : `: ${line}`}`;
  if (call.remote === true && isUnreachable(end.stderr))
    return new LazarusError("forge-unreachable", message, { retryable: true });
  const isFinal = /couldn't find remote ref/.test(end.stderr);
  return new LazarusError("git", message, { retryable: !isFinal });
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
