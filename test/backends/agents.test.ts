import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AgentSetup,
  agentCommand,
  agentEnvironment,
  baseEnvironment,
} from "../../src/backends/agents.ts";
import { type BriefBy, type LaunchContext, preset } from "../../src/backends/presets.ts";
import { processBackend } from "../../src/backends/process.ts";
import { PRESET_NAMES, type PresetName } from "../../src/preset-names.ts";
import { type CellRig, createCellRig } from "../fakes/cell-rig.ts";
import { until } from "../fakes/until.ts";

const SESSION = "3f0c2f6e-5a0e-4a55-9d9e-0b0e5a1c7d11";
const BRIEF = '# Fix the "thing"\n\nIt\'s $HOME and `ls`.\n';
const FAKE = `#!/bin/sh
printf '%s\\0' "$@" >"$LAZARUS_ARTIFACTS/argv"
env -0 >"$LAZARUS_ARTIFACTS/env"
cat >"$LAZARUS_ARTIFACTS/stdin"
`;

let rig: CellRig;
beforeEach(() => {
  rig = createCellRig();
});
afterEach(() => rig.remove());

function contextOf(more: Partial<LaunchContext> = {}): LaunchContext {
  const { worktree, artifacts, home } = rig.around.dirs;
  return {
    briefPath: rig.path("config/prompts/1.md"),
    briefText: BRIEF,
    worktree,
    artifacts,
    home,
    session: { id: SESSION, isNew: true },
    budgetUsd: null,
    isIsolated: true,
    ...more,
  };
}

function setup(more: Partial<AgentSetup>): AgentSetup {
  return {
    preset: null,
    command: null,
    brief: null,
    env: {},
    pass: {},
    set: {},
    model: null,
    args: [],
    ...more,
  };
}

function base(): Record<string, string> {
  const { brief, artifacts, home } = rig.around.dirs;
  const briefPath = rig.path("config/prompts/1.md");
  const where = { briefPath, missionPath: brief, artifacts, home, path: `${rig.bin}:/usr/bin:/bin` };
  const git = { name: null, email: null, keyPath: null };
  return baseEnvironment({ cellId: rig.cellId, agentName: "allegro", role: "executor", git, ...where });
}

/** Runs the agent's fake and answers what it saw. */
async function see(agent: AgentSetup, more: Partial<LaunchContext> = {}) {
  writeFileSync(rig.path("config/prompts/1.md"), BRIEF);
  if (agent.preset !== null) rig.executable(agent.preset === "demo" ? "sh" : agent.preset, FAKE);
  const launch = agentCommand(agent, contextOf(more));
  const backend = processBackend();
  const env = agentEnvironment(base(), launch.env);
  const handle = await backend.start(
    rig.run(launch.command, { env, stdinPath: launch.stdin ? rig.path("config/prompts/1.md") : null }),
  );
  await until("the agent has ended", async () => (await backend.observe(handle)).kind === "exited");
  const saw = (name: string) => readFileSync(join(rig.around.dirs.artifacts, name), "utf8");
  const lines = saw("env")
    .split("\0")
    .filter((line) => line !== "" && !line.startsWith("PWD="));
  const own = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
  return {
    argv: saw("argv").split("\0").slice(0, -1),
    env: own,
    stdin: saw("stdin"),
    directories: launch.directories,
  };
}

describe("every preset", () => {
  const home = (path = "") => join(rig.around.dirs.home, path);
  const { worktree, artifacts, brief } = {
    worktree: () => rig.around.dirs.worktree,
    artifacts: () => rig.around.dirs.artifacts,
    brief: () => rig.path("config/prompts/1.md"),
  };
  interface Expected {
    readonly argv: readonly string[];
    /** When it goes on with a session. */
    readonly later: readonly string[];
    /** Where Lazarus does not hold it, if it then does less. */
    readonly softer?: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly stdin: string;
  }
  const EXPECTED: Record<PresetName, () => Expected> = {
    hermes: () => ({
      argv: ["chat", "-Q", "--source", "tool", "--yolo", "-q", BRIEF],
      later: ["chat", "-Q", "--source", "tool", "--yolo", "--resume", SESSION, "-q", BRIEF],
      env: { HERMES_HOME: home() },
      stdin: "",
    }),
    claude: () => {
      const words = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode"];
      return {
        argv: [...words, "bypassPermissions", "--session-id", SESSION],
        later: [...words, "bypassPermissions", "--resume", SESSION],
        softer: [...words, "acceptEdits", "--session-id", SESSION],
        env: {
          CLAUDE_CONFIG_DIR: home("claude"),
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          DISABLE_AUTOUPDATER: "1",
          IS_SANDBOX: "1",
        },
        stdin: BRIEF,
      };
    },
    codex: () => {
      const words = ["exec", "--json", "-C", worktree(), "--skip-git-repo-check"];
      words.push("-o", join(artifacts(), "last.txt"));
      const free = "--dangerously-bypass-approvals-and-sandbox";
      const own = ["-s", "workspace-write", "--add-dir", artifacts(), "--add-dir", join(worktree(), ".git")];
      return {
        argv: [...words, free, "-"],
        later: [...words, free, "resume", SESSION, "-"],
        softer: [...words, ...own, "-"],
        env: { CODEX_HOME: home("codex") },
        stdin: BRIEF,
      };
    },
    opencode: () => ({
      argv: ["run", "--format", "json", "--dir", worktree(), "--auto"],
      later: ["run", "--format", "json", "--dir", worktree(), "--auto", "-s", SESSION],
      env: {
        OPENCODE_CONFIG_DIR: home("opencode"),
        XDG_CONFIG_HOME: home("xdg/config"),
        XDG_DATA_HOME: home("xdg/data"),
        XDG_STATE_HOME: home("xdg/state"),
        XDG_CACHE_HOME: home("xdg/cache"),
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_DISABLE_AUTOUPDATE: "1",
      },
      stdin: BRIEF,
    }),
    gemini: () => ({
      argv: ["-o", "stream-json", "--approval-mode", "yolo", "--session-id", SESSION],
      later: ["-o", "stream-json", "--approval-mode", "yolo", "--resume", SESSION],
      env: { GEMINI_CLI_HOME: home("gemini"), GEMINI_CLI_TRUST_WORKSPACE: "true" },
      stdin: BRIEF,
    }),
    qwen: () => {
      const words = ["-o", "stream-json", "--auth-type", "openai", "--approval-mode", "yolo"];
      return {
        argv: [...words, "--session-id", SESSION],
        later: [...words, "--resume", SESSION],
        env: { QWEN_HOME: home("qwen") },
        stdin: BRIEF,
      };
    },
    aider: () => {
      const argv = [
        ...["--yes-always", "--no-gitignore", "--no-check-update", "--analytics-disable"],
        ...["--chat-history-file", home("aider.md"), "--input-history-file", home("aider.in")],
        ...["--message-file", brief()],
      ];
      return { argv, later: argv, env: {}, stdin: "" };
    },
    demo: () => {
      const { words } = preset("demo").command(contextOf(), "file");
      return { argv: words.slice(1), later: words.slice(1), env: {}, stdin: "" };
    },
  };
  const wordsOf = (name: PresetName, more: Partial<LaunchContext>, agent: Partial<AgentSetup> = {}) =>
    agentCommand(setup({ preset: name, ...agent }), contextOf(more)).command.slice(1);

  it.each(PRESET_NAMES)("%s is started with its words, its homes and the brief", async (name) => {
    const expected = EXPECTED[name]();
    const seen = await see(setup({ preset: name }));
    expect(seen.argv).toEqual(expected.argv);
    expect(seen.stdin).toBe(expected.stdin);
    expect(seen.env).toEqual({ ...base(), ...expected.env });
  });

  it.each(PRESET_NAMES)("%s goes on with its session where it can", (name) => {
    expect(wordsOf(name, { session: { id: SESSION, isNew: false } })).toEqual(EXPECTED[name]().later);
  });

  it.each(PRESET_NAMES)("%s keeps to a softer mode, where it has one, as the user of Lazarus", (name) => {
    const { softer, argv } = EXPECTED[name]();
    expect(wordsOf(name, { isIsolated: false })).toEqual(softer ?? argv);
    expect(preset(name).env(contextOf({ isIsolated: false }))).not.toHaveProperty("IS_SANDBOX");
  });

  it.each(PRESET_NAMES)("%s takes a model and more options before what is no option", (name) => {
    for (const by of [null, "argument"] as const) {
      for (const isNew of [true, false]) {
        const session = { id: SESSION, isNew };
        const plain = wordsOf(name, { session }, { brief: by });
        const more = wordsOf(name, { session }, { brief: by, model: "some/model", args: ["--more", "a b"] });
        const last = preset(name).command(contextOf({ session }), by ?? preset(name).brief).last.length;
        const at = plain.length - last - ((by ?? preset(name).brief) === "argument" ? 1 : 0);
        expect(more).toEqual([
          ...plain.slice(0, at),
          ...["--model", "some/model", "--more", "a b"],
          ...plain.slice(at),
        ]);
      }
    }
  });

  const taken: readonly [PresetName, BriefBy, readonly string[]][] = [
    ["hermes", "stdin", ["--query-file", "-"]],
    ["claude", "argument", ["--session-id", SESSION, BRIEF]],
    ["codex", "argument", [BRIEF]],
    ["codex", "stdin", ["-"]],
    ["gemini", "argument", ["-p", BRIEF]],
    ["aider", "argument", ["--message", BRIEF]],
    ["claude", "file", ["--session-id", SESSION]],
  ];
  it.each(taken)("%s takes its brief by %s when told so", async (name, by, end) => {
    const seen = await see(setup({ preset: name, brief: by }));
    expect(seen.argv.slice(-end.length)).toEqual(end);
    expect(seen.stdin).toBe(by === "stdin" ? BRIEF : "");
  });

  it("names its homes, so that they can be made before (codex insists)", () => {
    expect(agentCommand(setup({ preset: "codex" }), contextOf()).directories).toEqual([home("codex")]);
    expect(agentCommand(setup({ preset: "hermes" }), contextOf()).directories).toEqual([]);
  });
});

describe("gemini's settings", () => {
  const [file] = preset("gemini").files;
  const fill = (text: string | null, env: Record<string, string> = {}) => file?.fill(text, env) ?? null;
  const chosen = (text: string | null) =>
    text === null ? null : JSON.parse(text).security.auth.selectedType;

  it("say how it logs in where nothing else does", () => {
    expect(file?.path).toBe("gemini/.gemini/settings.json");
    expect(chosen(fill(null))).toBe("gemini-api-key");
    expect(chosen(fill(null, { GOOGLE_GENAI_USE_VERTEXAI: "true" }))).toBe("vertex-ai");
  });

  it("keep all that a template brings", () => {
    expect(
      JSON.parse(fill('{"ui": {"theme": "x"}, "security": {"auth": {"useExternal": true}}}') ?? ""),
    ).toEqual({
      ui: { theme: "x" },
      security: { auth: { useExternal: true, selectedType: "gemini-api-key" } },
    });
  });

  it.each([
    '{"security": {"auth": {"selectedType": "oauth-personal"}}}',
    '{"security": {"auth": {"selectedType": null}}}',
    "{ // with a comment\n}",
    "[]",
    '{"security": "high"}',
    '{"security": {"auth": []}}',
    "",
  ])("are left as they are: %s", (text) => {
    expect(fill(text)).toBeNull();
  });
});

describe("qwen's settings", () => {
  const [file] = preset("qwen").files;
  const fill = (text: string | null) => file?.fill(text, {}) ?? null;

  it("say how often it waits for its model where nothing else does, and keep all that a template brings", () => {
    expect(file?.path).toBe("qwen/settings.json");
    const asked = { model: { generationConfig: { maxRetries: 1 } } };
    expect(JSON.parse(fill(null) ?? "")).toEqual(asked);
    const theirs = '{"ui": 1, "model": {"name": "x", "generationConfig": {"timeout": 5}}}';
    expect(JSON.parse(fill(theirs) ?? "")).toEqual({
      ui: 1,
      model: { name: "x", generationConfig: { timeout: 5, maxRetries: 1 } },
    });
  });

  it.each(['{"model": {"generationConfig": {"maxRetries": 9}}}', "{ // a comment\n}", "[]", ""])(
    "are left as they are: %s",
    (text) => {
      expect(fill(text)).toBeNull();
    },
  );
});

describe("a configured agent", () => {
  it("has its own command, and of the preset all the rest", async () => {
    const own = rig.executable("own agent", FAKE);
    const seen = await see(
      setup({ preset: "claude", command: [own, "--flag"], set: { DISABLE_AUTOUPDATER: "0" } }),
    );
    expect(seen.argv).toEqual(["--flag"]);
    expect(seen.stdin).toBe(BRIEF);
    expect(seen.env).toMatchObject({
      CLAUDE_CONFIG_DIR: join(rig.around.dirs.home, "claude"),
      DISABLE_AUTOUPDATER: "0",
    });
  });

  it("sees what is passed through, and over it what is set", async () => {
    const own = rig.executable("agent", FAKE);
    const seen = await see(
      setup({ command: [own], env: { KEY: "secret", MODE: "a" }, pass: { TZ: "UTC" }, set: { MODE: "b" } }),
    );
    expect(seen.env).toEqual({ ...base(), KEY: "secret", TZ: "UTC", MODE: "b" });
    expect(existsSync(seen.env.LAZARUS_BRIEF ?? "")).toBe(true);
  });

  it("cannot take away what its processes are found by", () => {
    const env = agentEnvironment(base(), { LAZARUS_CELL: "other", PATH: "/opt/bin" });
    expect(env).toMatchObject({ LAZARUS_CELL: rig.cellId, PATH: "/opt/bin" });
  });

  it("is told what its run may cost, where it is claude, before the operator's own words", () => {
    const words = (name: PresetName, budgetUsd: number | null) =>
      agentCommand(setup({ preset: name, args: ["--own"] }), contextOf({ budgetUsd })).command;
    expect(words("claude", null)).not.toContain("--max-budget-usd");
    expect(words("claude", 3.1999999999).slice(-5)).toEqual([
      "--max-budget-usd",
      "3.2",
      "--session-id",
      SESSION,
      "--own",
    ]);
    expect(words("codex", 5)).toEqual(words("codex", null));
  });

  it("is told when its brief is too long for an argument", () => {
    const long = (bytes: number) => () =>
      agentCommand(setup({ command: ["a"], brief: "argument" }), contextOf({ briefText: "x".repeat(bytes) }));
    expect(long(131_071)).not.toThrow();
    expect(long(131_072)).toThrow(
      "the brief has 129 KB, and an argument can have 128 KB: set the agent's brief to stdin or file",
    );
  });

  it("never has a brief taken for an option", () => {
    const launch = agentCommand(
      setup({ command: ["a"], brief: "argument" }),
      contextOf({ briefText: "--yolo" }),
    );
    expect(launch.command).toEqual(["a", "\n--yolo"]);
  });

  it("needs a preset or a command", () => {
    expect(() => agentCommand(setup({}), contextOf())).toThrow("neither a preset nor a command");
  });

  it("commits under its name and an address that belongs to nobody", () => {
    expect(base()).toMatchObject({
      GIT_AUTHOR_NAME: "allegro",
      GIT_COMMITTER_EMAIL: "allegro@lazarus.invalid",
      TERM: "dumb",
    });
  });
});
