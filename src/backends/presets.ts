import { join } from "node:path";
import type { PresetName } from "../preset-names.ts";

/** How an agent is given what a run starts with; its path is always in `LAZARUS_BRIEF`. */
export type BriefBy = "stdin" | "argument" | "file";

/** The conversation that a run begins, or goes on with. */
export interface Session {
  /**
   * Of a new one: a UUID for agents that let it be chosen. Of one that goes on: the agent's own name for it.
   */
  readonly id: string;
  readonly isNew: boolean;
}

/** Of the run that a command line is made for. Paths are absolute and as the agent sees them. */
export interface LaunchContext {
  /** Of what this run starts with: at first the brief, later what is new. */
  readonly briefPath: string;
  /** Needed where it goes as an argument. */
  readonly briefText: string | null;
  readonly worktree: string;
  readonly artifacts: string;
  /** The agent's own home in the cell. */
  readonly home: string;
  readonly session: Session;
  /** What the run may cost at most; null: no limit. */
  readonly budgetUsd: number | null;
  /**
   * Lazarus holds the agent: a sandbox, a container, or a user of the cell's own. Then the agent asks nobody
   * what it may run. Else it runs as the user of Lazarus, and an agent with a softer mode keeps to it.
   */
  readonly isIsolated: boolean;
}

/** The words of a preset's command: the operator's own go before the last ones, which are no options. */
export interface PresetCommand {
  readonly words: readonly string[];
  readonly last: readonly string[];
}

/** How a session is found again. */
export interface SessionTrace {
  /**
   * Null: Lazarus chooses its id. Else the agent does, and its log says it: the first match at its start, or
   * the last at its end.
   */
  readonly told: { readonly pattern: RegExp; readonly at: "start" | "end" } | null;
  /** Where the agent's home holds a file for each session that has begun; null: it keeps them in one file. */
  readonly files: { readonly dir: readonly string[]; ending(id: string): string } | null;
}

/**
 * A file that an agent needs in its home: made from what a template brought (null: nothing); null leaves it
 * as it is.
 */
export interface HomeFile {
  /** Below the home. */
  readonly path: string;
  fill(text: string | null, env: Readonly<Record<string, string>>): string | null;
}

/**
 * A known agent. @see the tables of each vendor's command line; `npm run try-agents` runs the real programs.
 */
export interface Preset {
  readonly name: PresetName;
  /** How it takes its brief unless configured otherwise. */
  readonly brief: BriefBy;
  /** Null: it begins anew with every run. */
  readonly session: SessionTrace | null;
  readonly files: readonly HomeFile[];
  /** Where `by` is `argument` the brief's text comes after the last word. */
  command(context: LaunchContext, by: BriefBy): PresetCommand;
  env(context: LaunchContext): Record<string, string>;
}

const UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const jsonl = (...dir: string[]) => ({ dir, ending: (id: string) => `${id}.jsonl` });

/** None of these asks anybody anything, since nobody answers. */
const PRESETS: { readonly [Name in PresetName]: Omit<Preset, "name"> } = {
  /** From its documentation; `--query-file` is missing in older releases, so the argument is its default. */
  hermes: {
    brief: "argument",
    session: { told: { pattern: /^session_id:\s*(\w[\w.-]{0,99})\s*$/gm, at: "end" }, files: null },
    files: [],
    command({ briefPath, session }, by) {
      const words = ["hermes", "chat", "-Q", "--source", "tool", "--yolo"];
      const last = by === "argument" ? ["-q"] : ["--query-file", by === "stdin" ? "-" : briefPath];
      return { words: [...words, ...(session.isNew ? [] : ["--resume", session.id])], last };
    },
    env: ({ home }) => ({ HERMES_HOME: home }),
  },
  /**
   * 2.1: a session id that exists already is an error. As root it bypasses its permissions only where it is
   * told of a sandbox.
   */
  claude: {
    brief: "stdin",
    session: { told: null, files: jsonl("claude", "projects") },
    files: [],
    command: ({ session, isIsolated, budgetUsd }) => ({
      words: [
        ...["claude", "-p", "--output-format", "stream-json", "--verbose"],
        ...["--permission-mode", isIsolated ? "bypassPermissions" : "acceptEdits"],
        ...(budgetUsd === null ? [] : ["--max-budget-usd", String(Number(budgetUsd.toFixed(4)))]),
        ...[session.isNew ? "--session-id" : "--resume", session.id],
      ],
      last: [],
    }),
    env: ({ home, isIsolated }) => ({
      CLAUDE_CONFIG_DIR: join(home, "claude"),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      ...(isIsolated ? { IS_SANDBOX: "1" } : {}),
    }),
  },
  /**
   * 0.171: its own sandbox cannot be made inside ours. Where ours is missing, its own lets it write the
   * artifacts too, and commit. The options of `exec` stand before `resume`, which takes few of them.
   */
  codex: {
    brief: "stdin",
    session: {
      told: { pattern: new RegExp(`"type":"thread\\.started","thread_id":"(${UUID})"`, "g"), at: "start" },
      files: jsonl("codex", "sessions"),
    },
    files: [],
    command({ worktree, artifacts, session, isIsolated }, by) {
      const own = ["-s", "workspace-write", "--add-dir", artifacts, "--add-dir", join(worktree, ".git")];
      return {
        words: [
          ...["codex", "exec", "--json", "-C", worktree, "--skip-git-repo-check"],
          ...["-o", join(artifacts, "last.txt")],
          ...(isIsolated ? ["--dangerously-bypass-approvals-and-sandbox"] : own),
        ],
        last: [...(session.isNew ? [] : ["resume", session.id]), ...(by === "argument" ? [] : ["-"])],
      };
    },
    env: ({ home }) => ({ CODEX_HOME: join(home, "codex") }),
  },
  /** 1.18. */
  opencode: {
    brief: "stdin",
    session: { told: { pattern: /"sessionID":"(ses_\w{1,100})"/g, at: "start" }, files: null },
    files: [],
    command: ({ worktree, session }) => ({
      words: [
        ...["opencode", "run", "--format", "json", "--dir", worktree, "--auto"],
        ...(session.isNew ? [] : ["-s", session.id]),
      ],
      last: [],
    }),
    env: ({ home }) => ({
      OPENCODE_CONFIG_DIR: join(home, "opencode"),
      XDG_CONFIG_HOME: join(home, "xdg/config"),
      XDG_DATA_HOME: join(home, "xdg/data"),
      XDG_STATE_HOME: join(home, "xdg/state"),
      XDG_CACHE_HOME: join(home, "xdg/cache"),
      OPENCODE_DISABLE_MODELS_FETCH: "1",
      OPENCODE_DISABLE_AUTOUPDATE: "1",
    }),
  },
  /**
   * 0.61: ends with 41 where its settings do not say how it logs in. The file of a session bears the first
   * part of its id.
   */
  gemini: {
    brief: "stdin",
    session: {
      told: null,
      files: { dir: ["gemini", ".gemini", "tmp"], ending: (id) => `-${id.slice(0, 8)}.jsonl` },
    },
    files: [{ path: "gemini/.gemini/settings.json", fill: geminiSettings }],
    command: ({ session }, by) => ({
      words: [
        ...["gemini", "-o", "stream-json", "--approval-mode", "yolo"],
        ...[session.isNew ? "--session-id" : "--resume", session.id],
      ],
      last: by === "argument" ? ["-p"] : [],
    }),
    env: ({ home }) => ({ GEMINI_CLI_HOME: join(home, "gemini"), GEMINI_CLI_TRUST_WORKSPACE: "true" }),
  },
  /**
   * 0.15: where its model is over its rate it waits in silence for up to 40 minutes, unless its settings say
   * how often.
   */
  qwen: {
    brief: "stdin",
    session: { told: null, files: jsonl("qwen", "projects") },
    files: [{ path: "qwen/settings.json", fill: qwenSettings }],
    command: ({ session }) => ({
      words: [
        ...["qwen", "-o", "stream-json", "--auth-type", "openai", "--approval-mode", "yolo"],
        ...[session.isNew ? "--session-id" : "--resume", session.id],
      ],
      last: [],
    }),
    env: ({ home }) => ({ QWEN_HOME: join(home, "qwen") }),
  },
  /**
   * From its documentation. Restoring its history brings back a summary and no session, so every run gets the
   * whole brief.
   */
  aider: {
    brief: "file",
    session: null,
    files: [],
    command: ({ home, briefPath }, by) => ({
      words: [
        ...["aider", "--yes-always", "--no-gitignore", "--no-check-update", "--analytics-disable"],
        ...["--chat-history-file", join(home, "aider.md"), "--input-history-file", join(home, "aider.in")],
      ],
      last: by === "argument" ? ["--message"] : ["--message-file", briefPath],
    }),
    env: () => ({}),
  },
  /** Our own: no program, no model, no key and no network. It shows what happens around an agent. */
  demo: {
    brief: "file",
    session: null,
    files: [],
    command: () => ({ words: ["sh", "-c", DEMO, "demo"], last: [] }),
    env: () => ({}),
  },
};

/** A line more in one file, and a commit. */
const DEMO = `set -eu
echo "- turn \${LAZARUS_TURN:-1} of cell \${LAZARUS_CELL:-unknown}" >>lazarus-demo.md
git add lazarus-demo.md
git commit --quiet -m "demo: one line more"
echo "I added a line to lazarus-demo.md. I am the demo agent: a shell script, and no model."`;

/** The preset of that name. */
export function preset(name: PresetName): Preset {
  return { name, ...PRESETS[name] };
}

/**
 * Adds how it logs in, by the key it is given, to settings that do not say. Settings that are no JSON stay as
 * they are.
 */
function geminiSettings(text: string | null, env: Readonly<Record<string, string>>): string | null {
  const settings = text === null ? {} : objectIn(text);
  if (settings === null) return null;
  const security = inner(settings, "security");
  const auth = security === null ? null : inner(security, "auth");
  if (security === null || auth === null || "selectedType" in auth) return null;
  const selectedType = env.GOOGLE_GENAI_USE_VERTEXAI === "true" ? "vertex-ai" : "gemini-api-key";
  const whole = { ...settings, security: { ...security, auth: { ...auth, selectedType } } };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** One wait of a minute is enough: then Lazarus waits, which holds no place. */
const QWEN_RETRIES = 1;

/** Adds how often it tries again to settings that do not say. Settings that are no JSON stay as they are. */
function qwenSettings(text: string | null): string | null {
  const settings = text === null ? {} : objectIn(text);
  if (settings === null) return null;
  const model = inner(settings, "model");
  const generationConfig = model === null ? null : inner(model, "generationConfig");
  if (model === null || generationConfig === null || "maxRetries" in generationConfig) return null;
  const whole = {
    ...settings,
    model: { ...model, generationConfig: { ...generationConfig, maxRetries: QWEN_RETRIES } },
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    return asObject(JSON.parse(text));
  } catch {
    // With comments, say: whoever wrote it says how it logs in.
    return null;
  }
}

function inner(outer: Record<string, unknown>, key: string): Record<string, unknown> | null {
  return outer[key] === undefined ? {} : asObject(outer[key]);
}

function asObject(value: unknown): Record<string, unknown> | null {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : null;
}
