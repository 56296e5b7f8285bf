import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import {
  cycles,
  forbiddenImports,
  importsOf,
  longFiles,
  type Sources,
  scatteredPackages,
  uses,
  type Zones,
} from "./source-rules.ts";

const ROOT = resolve(import.meta.dirname, "..");

const GROUND = ["ground", "log"];

/** "Who may import whom" of docs/architecture.md; everything may be imported by its own zone. */
const ZONES: Zones = {
  // L0: nothing but each other.
  ground: {
    files: [
      "clock",
      "errors",
      "globs",
      "hash",
      "key-file",
      "make-path",
      "meter",
      "nearest",
      "preset-names",
      "redact",
      "secret-finder",
      "secret-forms",
      "semaphore",
      "slices",
      "sync-directory",
      "text-views",
      "units",
      "visible",
    ].map((name) => `src/${name}.ts`),
    may: [],
  },
  // L1
  log: { files: ["src/log.ts"], may: ["ground"] },
  config: { files: ["src/config/"], may: GROUND },
  store: { files: ["src/store/"], may: GROUND },
  gitea: { files: ["src/gitea/"], may: GROUND },
  backends: { files: ["src/backends/"], may: GROUND },
  // What control and runners say to each other.
  protocol: { files: ["src/protocol/"], may: GROUND },
  queue: { files: ["src/queue/"], may: [...GROUND, "store", "protocol"] },
  // How they say it where they are on different hosts.
  transport: { files: ["src/transport/"], may: [...GROUND, "config", "protocol"] },
  // L2: the two sides. Control never touches disk, processes or git; a runner never touches the registry or
  // the forge's API.
  control: { files: ["src/cells/"], may: [...GROUND, "config", "store", "queue", "protocol"] },
  runner: {
    files: ["src/runner/"],
    may: [
      ...GROUND,
      ...["config", "backends", "protocol", "transport"],
      ...["src/cells/cell.ts", "src/cells/names.ts"],
    ],
  },
  // L3: config is what a verb is told, store the transaction that an answer is written in.
  commands: {
    files: ["src/commands/"],
    may: [...GROUND, "control", "gitea", "queue", "protocol", "config", "store"],
  },
  // L4
  webhooks: {
    files: ["src/webhooks/"],
    may: [...GROUND, "commands", "queue", "protocol", "gitea", "store", "control"],
  },
  // Pages: what they show is asked of control, what lies on a disk is handed to them by the top.
  dashboard: {
    files: ["src/dashboard/"],
    may: [...GROUND, "commands", "control", "queue", "protocol", "gitea", "store", "config"],
  },
  // L5: the only place that imports both sides.
  top: {
    files: [
      ...["app", "control", "open-forge", "open-runner", "isolation", "readiness", "facts", "failures"].map(
        (name) => `src/${name}.ts`,
      ),
      ...["open-elsewhere", "open-remote-runner", "agents-elsewhere", "fleet", "open-seals"].map(
        (name) => `src/${name}.ts`,
      ),
      ...["src/backup/", "src/cli/", "src/http/", "src/doctor/", "src/metrics/", "src/setup/", "src/seals/"],
      "src/unix-dgram.d.ts",
    ],
    may: [
      ...[...GROUND, "config", "store", "gitea", "queue", "protocol", "backends"],
      ...["control", "runner", "commands", "webhooks", "dashboard", "transport"],
    ],
  },
};

/** Packages that need more than one file, and why. */
const PACKAGES = {
  // A schema stands wherever bytes enter.
  zod: "anywhere",
  // The server, the router that takes deliveries, and how it reads their bodies.
  express: [
    "src/http/server.ts",
    "src/http/heartbeats.ts",
    "src/http/far-logs.ts",
    "src/dashboard/dashboard.ts",
    "src/http/git-gate.ts",
    "src/http/open-git-gate.ts",
    "src/http/open-seal-gate.ts",
    "src/seals/seal-gate.ts",
    "src/webhooks/receiver.ts",
    "src/webhooks/read-body.ts",
  ],
  // The registry, and the lock beside it, which is a database for the lock's sake only.
  "better-sqlite3": ["src/store/db.ts", "src/store/lock.ts"],
  // The command line, and the commands of it that have a file of their own.
  commander: [
    "src/cli/backup.ts",
    "src/cli/completion.ts",
    "src/cli/doctor.ts",
    "src/cli/logs.ts",
    "src/cli/main.ts",
    "src/cli/pit.ts",
    "src/cli/runner.ts",
    "src/cli/setup.ts",
    "src/cli/verbs.ts",
  ],
  // The client, and the calls about rights, which take it as an argument.
  "gitea-js": [
    "src/gitea/client.ts",
    "src/gitea/moved.ts",
    "src/gitea/review-calls.ts",
    "src/gitea/thread-calls.ts",
    "src/gitea/rights.ts",
    "src/gitea/setup-accounts.ts",
    "src/gitea/setup-calls.ts",
  ],
} as const;

/** What control never imports: it may be far from the disk and the processes that it decides about. */
const FOR_RUNNERS_ONLY = ["node:fs", "node:fs/promises", "node:child_process"];

const MOST_LINES = 300;
/** Files that are still to be split: they may not grow, and the entry goes when they are. */
const TOO_LONG: Readonly<Record<string, number>> = {};

const ENVIRONMENT = /\bprocess\s*\.\s*env\b|\bprocess\s*\[|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/;
const PRINTING = /\bconsole\s*\.|\bprocess\s*\.\s*(?:stdout|stderr)\b/;
/** What people read is asked for words: behaviour goes by codes and columns. */
const WORDS =
  /\b(?:message|why|reason|stopped|says)\)?\??\.(?:includes|startsWith|endsWith|match|matchAll|search|indexOf)\(|\.(?:test|exec)\((?:\w+\??\.)*(?:message|why|reason|stopped|says)\b/;
const ANY = /(?:[:<,|&=(]|\bas|\bextends|\bsatisfies)\s*any\b(?!\s*[(:.])/;

const PROGRAMS = ["src/cli/main.ts", "src/runner/scan-secrets.ts", "src/runner/worker.ts"];

/** Every TypeScript file below `src`. */
function readSources(): Sources {
  const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" });
  return new Map(
    files
      .filter((file) => file.endsWith(".ts"))
      .sort()
      .map((file) => [`src/${file}`, readFileSync(join(ROOT, "src", file), "utf8")]),
  );
}

describe("the source", () => {
  const sources = readSources();

  it("was found", () => {
    expect(sources.size).toBeGreaterThan(50);
    expect([...sources].flatMap(([file, text]) => importsOf(file, text)).length).toBeGreaterThan(300);
  });

  it("imports only downwards", () => {
    expect(forbiddenImports(sources, ZONES)).toEqual([]);
  });

  it("imports only what exists", () => {
    const missing = [...sources]
      .flatMap(([file, text]) => importsOf(file, text))
      .filter(({ target }) => target !== null && !sources.has(target));
    expect(missing).toEqual([]);
  });

  it("has no cycles", () => {
    expect(cycles(sources)).toEqual([]);
  });

  it("reads the environment in config/config.ts alone", () => {
    expect(uses(sources, ENVIRONMENT, ["src/config/config.ts"])).toEqual([]);
  });

  it("prints in its programs alone", () => {
    expect(uses(sources, PRINTING, PROGRAMS)).toEqual([]);
  });

  it("keeps each package in one file", () => {
    expect(scatteredPackages(sources, PACKAGES)).toEqual([]);
  });

  it("keeps disk and processes out of control", () => {
    const found = [...sources]
      .filter(([file]) => file.startsWith("src/cells/"))
      .flatMap(([file, text]) => importsOf(file, text))
      .filter(({ specifier }) => FOR_RUNNERS_ONLY.includes(specifier));
    expect(found).toEqual([]);
  });

  it("knows no any", () => {
    expect(uses(sources, ANY)).toEqual([]);
  });

  it("reads nothing from words that are meant for people", () => {
    // What is read there is a commit's message, as the forge will read it.
    expect(uses(sources, WORDS, ["src/runner/git/inspect.ts"])).toEqual([]);
  });

  it("has no comment of more than 110 columns", () => {
    const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line);
    const wide = [...sources].flatMap(([file, text]) =>
      text
        .split("\n")
        .flatMap((line, at) => (isComment(line) && line.length > 110 ? [`${file}:${at + 1}`] : [])),
    );
    expect(wide).toEqual([]);
  });

  it(`has no file of more than ${MOST_LINES} lines`, () => {
    expect(longFiles(sources, MOST_LINES, TOO_LONG)).toEqual([]);
    const stale = Object.keys(TOO_LONG).filter(
      (file) => longFiles(new Map([[file, sources.get(file) ?? ""]]), MOST_LINES).length === 0,
    );
    expect(stale).toEqual([]);
  });
});

describe("the repository", () => {
  const MOST_BYTES = 200_000;

  it("holds text alone, and pictures of the documentation, nothing large", () => {
    const listed = execFileSync("git", ["-C", ROOT, "ls-files", "-z"], { encoding: "utf8" }).split("\0");
    const files = listed.filter((file) => file !== "" && existsSync(join(ROOT, file)));
    expect(files).toContain("README.md");
    const strange = files.filter((file) => {
      const content = readFileSync(join(ROOT, file));
      return content.length > MOST_BYTES || (content.includes(0) && !file.startsWith("docs/images/"));
    });
    expect(strange).toEqual([]);
  });
});

describe("the rules can fail", () => {
  const zones: Zones = {
    low: { files: ["src/low.ts"], may: [] },
    high: { files: ["src/high/"], may: ["low"] },
    edge: { files: ["src/edge.ts"], may: ["src/high/open.ts"] },
  };
  const sources = (files: Record<string, string>): Sources => new Map(Object.entries(files));

  it("sees every form of import, and none in a comment", () => {
    const text = [
      'import a from "./a.ts";',
      "import {",
      "  b,",
      "  type B,",
      '} from "../b.ts";',
      'export type { C } from "./c.ts";',
      'export * from "./d.ts";',
      'import "./e.ts";',
      'const f = await import("./f.ts");',
      'import type { G } from "pkg/deep";',
      '// import h from "./h.ts";',
      '/* import i from "./i.ts"; */',
    ].join("\n");
    expect(importsOf("src/x/y.ts", text).map((one) => one.target ?? one.specifier)).toEqual(
      expect.arrayContaining([
        "src/x/a.ts",
        "src/b.ts",
        "src/x/c.ts",
        "src/x/d.ts",
        "src/x/e.ts",
        "src/x/f.ts",
        "pkg/deep",
      ]),
    );
    expect(importsOf("src/x/y.ts", text)).toHaveLength(7);
  });

  it("names an import that goes upwards, a file in no zone, and a file that is not open", () => {
    const bad = sources({
      "src/low.ts": 'import "./high/open.ts";',
      "src/high/open.ts": 'import "../low.ts";',
      "src/edge.ts": 'import "./high/open.ts";\nimport "./high/shut.ts";',
      "src/lost.ts": "",
    });
    expect(forbiddenImports(bad, zones)).toEqual([
      "src/low.ts (low) must not import src/high/open.ts (high)",
      "src/edge.ts (edge) must not import src/high/shut.ts (high)",
      "src/lost.ts is in no zone",
    ]);
  });

  it("finds a cycle over three files, types too", () => {
    const bad = sources({
      "src/a.ts": 'import "./b.ts";',
      "src/b.ts": 'import type { C } from "./c.ts";',
      "src/c.ts": 'export * from "./a.ts";',
      "src/d.ts": 'import "./a.ts";',
    });
    expect(cycles(bad)).toEqual(["src/a.ts -> src/b.ts -> src/c.ts -> src/a.ts"]);
  });

  it("names a package in a second file, and one where it may not be", () => {
    const bad = sources({
      "src/a.ts": 'import "@scope/pkg/deep";\nimport "kept";\nimport "free";\nimport "node:fs";',
      "src/b.ts": 'import "@scope/pkg";\nimport "kept";\nimport "free";\nimport "node:fs";',
    });
    expect(scatteredPackages(bad, { kept: ["src/a.ts"], free: "anywhere" })).toEqual([
      "@scope/pkg is imported in src/a.ts, src/b.ts",
      "kept is imported in src/b.ts",
    ]);
  });

  it.each([
    [
      "the environment",
      ENVIRONMENT,
      "const a = process.env.PATH;",
      "const { env } = process;",
      'process["env"]',
    ],
    ["printing", PRINTING, "console.log(1);", "process.stdout.write(text);", "process.stderr.isTTY"],
    [
      "words",
      WORDS,
      'if (error.message.includes("full")) return;',
      "cell.reason?.startsWith(GONE)",
      "/full/.test(error.message)",
      "FULL.exec(run.stopped ?? NONE)",
    ],
    [
      "any",
      ANY,
      "let a: any;",
      "const b = c as any;",
      "Array<any>",
      "type D = string | any;",
      "(e: any[]) => f",
    ],
  ])("finds %s", (_, pattern, ...lines) => {
    const bad = sources({ "src/a.ts": lines.join("\n") });
    expect(uses(bad, pattern)).toEqual(lines.map((_, index) => `src/a.ts:${index + 1}`));
    expect(uses(bad, pattern, ["src/a.ts"])).toEqual([]);
  });

  it.each([
    ["the environment", ENVIRONMENT, '"process.env"', "// process.env", "child.env"],
    ["printing", PRINTING, '"console.log"', "/* console.log */", "redirect.stdout"],
    [
      "words",
      WORDS,
      "// error.message.includes(x)",
      "own.includes(cause)",
      "why.length",
      "messages.includes(x)",
    ],
    ["any", ANY, '"of any kind"', "// as any", "many.any", "z.any()"],
  ])("lets pass what only looks like %s", (_, pattern, ...lines) => {
    expect(uses(sources({ "src/a.ts": lines.join("\n") }), pattern)).toEqual([]);
  });

  it("names a file that is too long, and lets an allowed one be as long as it says", () => {
    const bad = sources({ "src/a.ts": "x\n".repeat(4), "src/b.ts": "x\n".repeat(3) });
    expect(longFiles(bad, 3)).toEqual(["src/a.ts has 4 lines"]);
    expect(longFiles(bad, 2, { "src/a.ts": 4 })).toEqual(["src/b.ts has 3 lines"]);
  });
});
