import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AgentSetup,
  agentCommand,
  agentEnvironment,
  type BriefBy,
  baseEnvironment,
  type LaunchContext,
  PRESET_NAMES,
  type PresetName,
} from "../../src/backends/agents.ts";
import { processBackend } from "../../src/backends/process.ts";
import { PRESET_NAMES as CONFIGURABLE } from "../../src/config/schema.ts";
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
  const { brief, worktree, artifacts, home } = rig.around.dirs;
  return {
    briefPath: brief,
    briefText: BRIEF,
    worktree,
    artifacts,
    home,
    sessionId: SESSION,
    isFirstRun: true,
    ...more,
  };
}

function setup(more: Partial<AgentSetup>): AgentSetup {
  return { preset: null, command: null, brief: null, env: {}, set: {}, ...more };
}

function base(): Record<string, string> {
  const { brief, artifacts, home } = rig.around.dirs;
  const where = { briefPath: brief, artifacts, home, path: `${rig.bin}:/usr/bin:/bin` };
  return baseEnvironment({ cellId: rig.cellId, agentName: "allegro", role: "executor", ...where });
}

/** Runs the agent's fake and answers what it saw. */
async function see(agent: AgentSetup, more: Partial<LaunchContext> = {}) {
  writeFileSync(rig.around.dirs.brief, BRIEF);
  if (agent.preset !== null) rig.executable(agent.preset, FAKE);
  const launch = agentCommand(agent, contextOf(more));
  const backend = processBackend();
  const env = agentEnvironment(base(), launch.env);
  const handle = await backend.start(
    rig.run(launch.command, { env, stdinPath: launch.stdin ? rig.around.dirs.brief : null }),
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
    brief: () => rig.around.dirs.brief,
  };
  interface Expected {
    readonly argv: readonly string[];
    readonly later?: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly stdin: string;
  }
  const EXPECTED: Record<PresetName, () => Expected> = {
    hermes: () => ({
      argv: ["chat", "-Q", "--source", "tool", "--yolo", "-q", BRIEF],
      env: { HERMES_HOME: home() },
      stdin: "",
    }),
    claude: () => {
      const words = ["-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"];
      return {
        argv: [...words, "--session-id", SESSION],
        later: [...words, "--resume", SESSION],
        env: {
          CLAUDE_CONFIG_DIR: home("claude"),
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
          DISABLE_AUTOUPDATER: "1",
        },
        stdin: BRIEF,
      };
    },
    codex: () => ({
      argv: [
        ...["exec", "--json", "-C", worktree(), "-s", "workspace-write", "--skip-git-repo-check"],
        ...["-o", join(artifacts(), "last.txt"), "-"],
      ],
      env: { CODEX_HOME: home("codex") },
      stdin: BRIEF,
    }),
    opencode: () => ({
      argv: ["run", "--format", "json", "--dir", worktree(), "--auto"],
      env: {
        OPENCODE_CONFIG_DIR: home("opencode"),
        XDG_CONFIG_HOME: home("xdg/config"),
        XDG_DATA_HOME: home("xdg/data"),
        XDG_STATE_HOME: home("xdg/state"),
        XDG_CACHE_HOME: home("xdg/cache"),
        OPENCODE_DISABLE_MODELS_FETCH: "1",
      },
      stdin: BRIEF,
    }),
    gemini: () => ({
      argv: ["-o", "stream-json", "--approval-mode", "yolo"],
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
    aider: () => ({
      argv: [
        ...["--yes-always", "--no-gitignore", "--no-check-update", "--analytics-disable"],
        ...["--chat-history-file", home("aider.md"), "--input-history-file", home("aider.in")],
        ...["--message-file", brief()],
      ],
      env: {},
      stdin: "",
    }),
  };

  it.each(PRESET_NAMES)("%s is started with its words, its homes and the brief", async (name) => {
    const expected = EXPECTED[name]();
    const seen = await see(setup({ preset: name }));
    expect(seen.argv).toEqual(expected.argv);
    expect(seen.stdin).toBe(expected.stdin);
    expect(seen.env).toEqual({ ...base(), ...expected.env });
  });

  it.each(PRESET_NAMES)("%s goes on with its session where it can", (name) => {
    const { argv, later } = EXPECTED[name]();
    expect(agentCommand(setup({ preset: name }), contextOf({ isFirstRun: false })).command.slice(1)).toEqual(
      later ?? argv,
    );
  });

  const taken: readonly [PresetName, BriefBy, readonly string[]][] = [
    ["hermes", "stdin", ["--query-file", "-"]],
    ["claude", "argument", ["--session-id", SESSION, BRIEF]],
    ["codex", "argument", [BRIEF]],
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

  it("is one that can be configured", () => {
    expect([...CONFIGURABLE].sort()).toEqual([...PRESET_NAMES].sort());
  });
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
    const seen = await see(setup({ command: [own], env: { KEY: "secret", MODE: "a" }, set: { MODE: "b" } }));
    expect(seen.env).toEqual({ ...base(), KEY: "secret", MODE: "b" });
    expect(existsSync(seen.env.LAZARUS_BRIEF ?? "")).toBe(true);
  });

  it("cannot take away what its processes are found by", () => {
    const env = agentEnvironment(base(), { LAZARUS_CELL: "other", PATH: "/opt/bin" });
    expect(env).toMatchObject({ LAZARUS_CELL: rig.cellId, PATH: "/opt/bin" });
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
