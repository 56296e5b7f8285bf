import { LazarusError } from "../errors.ts";
import type { PresetName } from "../preset-names.ts";
import { type BriefBy, type HomeFile, type LaunchContext, preset } from "./presets.ts";

/** An agent as configured, the values of its `env` already looked up. */
export interface AgentSetup {
  readonly preset: PresetName | null;
  /** Wins over the preset's. */
  readonly command: readonly string[] | null;
  /** null: the preset's, else stdin. */
  readonly brief: BriefBy | null;
  /** What its own `pass` and `env` pass through. */
  readonly pass: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  readonly set: Readonly<Record<string, string>>;
  /** Given to the preset's command; null: the agent's own choice. */
  readonly model: string | null;
  /** Added to the preset's command. */
  readonly args: readonly string[];
}

export interface AgentCommand {
  readonly command: string[];
  /** On top of `baseEnvironment`. */
  readonly env: Record<string, string>;
  /** Whether the brief's file goes to standard input. */
  readonly stdin: boolean;
  /** Below its home; must exist before it starts (codex refuses a home that does not). */
  readonly directories: string[];
  /** What its preset needs in a home; where a template brings all of it, it stays as it is. */
  readonly files: readonly HomeFile[];
}

/** The kernel's limit for one argument, its closing NUL included. @see execve(2), MAX_ARG_STRLEN */
const ARGUMENT_BYTES = 128 * 1024;

/** How an agent is given what a run starts with. */
export function briefBy(agent: Pick<AgentSetup, "brief" | "preset">): BriefBy {
  return agent.brief ?? (agent.preset === null ? "stdin" : preset(agent.preset).brief);
}

/** Whether a text can be one argument of a command line. */
export function fitsArgument(text: string): boolean {
  // With a line in front, as one that begins with a dash gets, and its NUL.
  return Buffer.byteLength(text) + 2 <= ARGUMENT_BYTES;
}

/**
 * How an agent is started: what is configured, and what its preset fills in.
 * @throws LazarusError `configuration` when there is no command, or the brief is longer than an argument can
 * be.
 */
export function agentCommand(agent: AgentSetup, context: LaunchContext): AgentCommand {
  const known = agent.preset === null ? null : preset(agent.preset);
  const by = briefBy(agent);
  const command = agent.command ?? presetWords(agent, context, by);
  if (command.length === 0)
    throw new LazarusError("configuration", "the agent has neither a preset nor a command");
  const presetEnv = known?.env(context) ?? {};
  return {
    command: [...command, ...(by === "argument" ? [asArgument(context.briefText)] : [])],
    env: { ...presetEnv, ...agent.pass, ...agent.env, ...agent.set },
    stdin: by === "stdin",
    directories: Object.values(presetEnv).filter((value) => value.startsWith(`${context.home}/`)),
    files: known?.files ?? [],
  };
}

/** All known agents take their model by the same option; what the operator adds comes after it, and wins. */
function presetWords(agent: AgentSetup, context: LaunchContext, by: BriefBy): string[] {
  if (agent.preset === null) return [];
  const { words, last } = preset(agent.preset).command(context, by);
  return [...words, ...(agent.model === null ? [] : ["--model", agent.model]), ...agent.args, ...last];
}

function asArgument(text: string | null): string {
  if (text === null)
    throw new LazarusError("internal", "the brief goes as an argument, but its text was not given");
  const bytes = Buffer.byteLength(text) + 1;
  if (bytes > ARGUMENT_BYTES) {
    const sizes = `${Math.ceil(bytes / 1024)} KB, and an argument can have ${ARGUMENT_BYTES / 1024} KB`;
    throw new LazarusError("configuration", `the brief has ${sizes}: set the agent's brief to stdin or file`);
  }
  // What begins with a dash would be read as an option.
  return text.startsWith("-") ? `\n${text}` : text;
}

/** Of the cell that an environment is made for. */
export interface EnvironmentContext {
  readonly cellId: string;
  readonly agentName: string;
  readonly role: string;
  /** Of what the run starts with. */
  readonly briefPath: string;
  /** Of the cell's pinned brief. */
  readonly missionPath: string;
  readonly artifacts: string;
  readonly home: string;
  readonly path: string;
  readonly git: GitIdentity;
}

/** Who an agent's commits are from; null where nobody has chosen. */
export interface GitIdentity {
  readonly name: string | null;
  readonly email: string | null;
  /** Of a private SSH key that signs them, as the agent sees it. */
  readonly keyPath: string | null;
}

/**
 * The environment every agent process has, all of it; its author's address belongs to nobody. @see RFC 2606
 * for `.invalid`
 */
export function baseEnvironment(context: EnvironmentContext): Record<string, string> {
  const { git } = context;
  const name = git.name ?? context.agentName;
  const address = git.email ?? `${context.agentName.replace(/[^A-Za-z0-9._-]+/g, "-")}@lazarus.invalid`;
  return {
    LAZARUS_CELL: context.cellId,
    LAZARUS_AGENT: context.agentName,
    LAZARUS_ROLE: context.role,
    LAZARUS_BRIEF: context.briefPath,
    LAZARUS_MISSION: context.missionPath,
    LAZARUS_ARTIFACTS: context.artifacts,
    HOME: context.home,
    HERMES_HOME: context.home,
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: address,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: address,
    PATH: context.path,
    LANG: "C.UTF-8",
    TERM: "dumb",
    ...(git.keyPath === null ? {} : signing(git.keyPath)),
  };
}

/** Has git sign every commit with an SSH key. @see git-config(1), GIT_CONFIG_COUNT and gpg.format */
function signing(keyPath: string): Record<string, string> {
  const config = { "gpg.format": "ssh", "user.signingKey": keyPath, "commit.gpgSign": "true" };
  const pairs = Object.entries(config).flatMap(([key, value], at) => [
    [`GIT_CONFIG_KEY_${at}`, key],
    [`GIT_CONFIG_VALUE_${at}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(Object.keys(config).length), ...Object.fromEntries(pairs) };
}

/**
 * The whole environment of a run: an agent's own wins, except over `LAZARUS_*`, by which its processes are
 * found.
 */
export function agentEnvironment(
  base: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const kept = Object.entries(own).filter(([name]) => !name.startsWith("LAZARUS_"));
  return { ...base, ...Object.fromEntries(kept) };
}
