import { join } from "node:path";
import { LazarusError } from "../errors.ts";

export const PRESET_NAMES = ["hermes", "claude", "codex", "opencode", "gemini", "qwen", "aider"] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** How an agent is given its brief; its path is always in `LAZARUS_BRIEF`. */
export type BriefBy = "stdin" | "argument" | "file";

/** Of the run that a command line is made for. Paths are absolute and as the agent sees them. */
export interface LaunchContext {
  readonly briefPath: string;
  /** Needed where the brief goes as an argument. */
  readonly briefText: string | null;
  readonly worktree: string;
  readonly artifacts: string;
  /** The agent's own home in the cell. */
  readonly home: string;
  /** A UUID, the same for every run that goes on with one session. */
  readonly sessionId: string;
  /** Whether that session does not exist yet. */
  readonly isFirstRun: boolean;
}

/** A known agent. @see the tables of each vendor's command line, tried with the versions named in the docstrings below. */
export interface Preset {
  readonly name: PresetName;
  /** How it takes its brief unless configured otherwise. */
  readonly brief: BriefBy;
  /** The command line; where `by` is `argument` the brief's text comes right after it. */
  command(context: LaunchContext, by: BriefBy): string[];
  env(context: LaunchContext): Record<string, string>;
}

/**
 * What these agents may do is for the cell to hold, not for their own prompts, which nobody answers: they are told not to ask. Two are kept to less: claude
 * refuses to be let off its leash as root, and codex brings a sandbox of its own that does not ask.
 */
const PRESETS: { readonly [Name in PresetName]: Omit<Preset, "name"> } = {
  /** From its documentation; `--query-file` is missing in older releases, so the argument is its default. */
  hermes: {
    brief: "argument",
    command(context, by) {
      const words = ["hermes", "chat", "-Q", "--source", "tool", "--yolo"];
      if (by === "argument") return [...words, "-q"];
      return [...words, "--query-file", by === "stdin" ? "-" : context.briefPath];
    },
    env: ({ home }) => ({ HERMES_HOME: home }),
  },
  /** 2.1: a session id that exists already is an error. */
  claude: {
    brief: "stdin",
    command: ({ sessionId, isFirstRun }) => [
      ...["claude", "-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"],
      ...[isFirstRun ? "--session-id" : "--resume", sessionId],
    ],
    env: ({ home }) => ({
      CLAUDE_CONFIG_DIR: join(home, "claude"),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
    }),
  },
  /** 0.169: chooses its session's id itself, so every run begins anew from the brief. */
  codex: {
    brief: "stdin",
    command: ({ worktree, artifacts }, by) => [
      ...["codex", "exec", "--json", "-C", worktree, "-s", "workspace-write", "--skip-git-repo-check"],
      ...["-o", join(artifacts, "last.txt"), ...(by === "argument" ? [] : ["-"])],
    ],
    env: ({ home }) => ({ CODEX_HOME: join(home, "codex") }),
  },
  /** 1.18: as codex. */
  opencode: {
    brief: "stdin",
    command: ({ worktree }) => ["opencode", "run", "--format", "json", "--dir", worktree, "--auto"],
    env: ({ home }) => ({
      OPENCODE_CONFIG_DIR: join(home, "opencode"),
      XDG_CONFIG_HOME: join(home, "xdg/config"),
      XDG_DATA_HOME: join(home, "xdg/data"),
      XDG_STATE_HOME: join(home, "xdg/state"),
      XDG_CACHE_HOME: join(home, "xdg/cache"),
      OPENCODE_DISABLE_MODELS_FETCH: "1",
    }),
  },
  /** 0.61: going on with a session was never seen to work, so every run begins anew. */
  gemini: {
    brief: "stdin",
    command: (_, by) => [
      ...["gemini", "-o", "stream-json", "--approval-mode", "yolo"],
      ...(by === "argument" ? ["-p"] : []),
    ],
    env: ({ home }) => ({ GEMINI_CLI_HOME: join(home, "gemini"), GEMINI_CLI_TRUST_WORKSPACE: "true" }),
  },
  /** 0.15. */
  qwen: {
    brief: "stdin",
    command: ({ sessionId, isFirstRun }) => [
      ...["qwen", "-o", "stream-json", "--auth-type", "openai", "--approval-mode", "yolo"],
      ...[isFirstRun ? "--session-id" : "--resume", sessionId],
    ],
    env: ({ home }) => ({ QWEN_HOME: join(home, "qwen") }),
  },
  /** From its documentation. */
  aider: {
    brief: "file",
    command: ({ home, briefPath }, by) => [
      ...["aider", "--yes-always", "--no-gitignore", "--no-check-update", "--analytics-disable"],
      ...["--chat-history-file", join(home, "aider.md"), "--input-history-file", join(home, "aider.in")],
      ...(by === "argument" ? ["--message"] : ["--message-file", briefPath]),
    ],
    env: () => ({}),
  },
};

/** The preset of that name. */
export function preset(name: PresetName): Preset {
  return { name, ...PRESETS[name] };
}

/** An agent as configured, the values of its `env` already looked up. */
export interface AgentSetup {
  readonly preset: PresetName | null;
  /** Wins over the preset's. */
  readonly command: readonly string[] | null;
  /** null: the preset's, else stdin. */
  readonly brief: BriefBy | null;
  /** What its own `env` passes through. */
  readonly env: Readonly<Record<string, string>>;
  readonly set: Readonly<Record<string, string>>;
}

export interface AgentCommand {
  readonly command: string[];
  /** On top of `baseEnvironment`. */
  readonly env: Record<string, string>;
  /** Whether the brief's file goes to standard input. */
  readonly stdin: boolean;
  /** Below its home; must exist before it starts (codex refuses a home that does not). */
  readonly directories: string[];
}

/** The kernel's limit for one argument, its closing NUL included. @see execve(2), MAX_ARG_STRLEN */
const ARGUMENT_BYTES = 128 * 1024;

/**
 * How an agent is started: what is configured, and what its preset fills in.
 * @throws LazarusError `configuration` when there is no command, or the brief is longer than an argument can be.
 */
export function agentCommand(agent: AgentSetup, context: LaunchContext): AgentCommand {
  const known = agent.preset === null ? null : preset(agent.preset);
  const by = agent.brief ?? known?.brief ?? "stdin";
  const command = agent.command ?? known?.command(context, by) ?? [];
  if (command.length === 0)
    throw new LazarusError("configuration", "the agent has neither a preset nor a command");
  const presetEnv = known?.env(context) ?? {};
  return {
    command: [...command, ...(by === "argument" ? [asArgument(context.briefText)] : [])],
    env: { ...presetEnv, ...agent.env, ...agent.set },
    stdin: by === "stdin",
    directories: Object.values(presetEnv).filter((value) => value.startsWith(`${context.home}/`)),
  };
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
  readonly briefPath: string;
  readonly artifacts: string;
  readonly home: string;
  readonly path: string;
}

/** The environment every agent process has, all of it; its author's address belongs to nobody. @see RFC 2606 for `.invalid` */
export function baseEnvironment(context: EnvironmentContext): Record<string, string> {
  const address = `${context.agentName.replace(/[^A-Za-z0-9._-]+/g, "-")}@lazarus.invalid`;
  return {
    LAZARUS_CELL: context.cellId,
    LAZARUS_AGENT: context.agentName,
    LAZARUS_ROLE: context.role,
    LAZARUS_BRIEF: context.briefPath,
    LAZARUS_ARTIFACTS: context.artifacts,
    HOME: context.home,
    HERMES_HOME: context.home,
    GIT_AUTHOR_NAME: context.agentName,
    GIT_AUTHOR_EMAIL: address,
    GIT_COMMITTER_NAME: context.agentName,
    GIT_COMMITTER_EMAIL: address,
    PATH: context.path,
    LANG: "C.UTF-8",
    TERM: "dumb",
  };
}

/** The whole environment of a run: an agent's own wins, except over `LAZARUS_*`, by which its processes are found. */
export function agentEnvironment(
  base: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const kept = Object.entries(own).filter(([name]) => !name.startsWith("LAZARUS_"));
  return { ...base, ...Object.fromEntries(kept) };
}
