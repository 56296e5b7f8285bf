import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { DOCS_WITH_TABLES, fillTables } from "../scripts/doc-tables.ts";
import { program } from "../src/cli/main.ts";
import { loadConfig } from "../src/config/config.ts";

const ROOT = resolve(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");
const DOCS = [
  ...["README.md", "CONTRIBUTING.md", "test/README.md", "CHANGELOG.md"],
  ...readdirSync(join(ROOT, "docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : [])),
];

describe("the README", () => {
  it("is short, and leads to every file of the docs", () => {
    const readme = read("README.md");
    expect(readme.split("\n").length).toBeLessThanOrEqual(180);
    expect(DOCS.filter((file) => file.startsWith("docs/") && !readme.includes(`](${file})`))).toEqual([]);
  });
});

describe("the tables that are made from the code", () => {
  it.each(DOCS_WITH_TABLES)("stand in %s as the code has them (else: npm run docs)", (file) => {
    expect(read(file)).toBe(fillTables(file, read(file)));
  });

  it("would be found out if a row were missing, or a table", () => {
    const file = "docs/reference.md";
    const reference = read(file);
    expect(fillTables(file, reference.replace(/^\| `\/lazarus stop .*\n/m, ""))).toBe(reference);
    expect(fillTables(file, reference.replace(/^\| `limits\.cells` .*\n/m, ""))).toBe(reference);
    expect(() => fillTables(file, reference.replace("generated: commands", "made: commands"))).toThrow(
      /commands/,
    );
  });
});

it("connects a forge with a configuration that loads, given what it takes from the environment", () => {
  const blocks = [...read("docs/connect.md").matchAll(/^```yaml\n([\s\S]*?)^```$/gm)];
  expect(blocks).toHaveLength(1);
  const dir = mkdtempSync(join(tmpdir(), "connect-"));
  try {
    const file = join(dir, "lazarus.yaml");
    writeFileSync(file, blocks[0]?.[1] ?? "");
    const env = {
      ...{ LAZARUS_FORGE_TOKEN: "token", LAZARUS_RIGHTS_TOKEN: "reads" },
      LAZARUS_WEBHOOK_SECRET: "secret",
    };
    const config = loadConfig({ file, env, cwd: ROOT, needs: ["server", "forge", "agents"] });
    expect(config.notices).toEqual([]);
    expect(config.agents.get("allegro")).toMatchObject({ unavailable: null, backend: "sandbox" });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** As Gitea and Forgejo make an anchor of a heading: small letters, no marks, a hyphen for each space. */
function anchorsOf(text: string): string[] {
  const withoutCode = text.replace(/^```[\s\S]*?^```$/gm, "");
  return [...withoutCode.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** What people are told to type: the lines of a file's blocks of shell, and the code of its tables. */
function commandsIn(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
    block.split("\n"),
  );
  const cells = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...blocks, ...cells];
}

const CLI_VERBS = program.commands.map((command) => command.name());
const SCRIPTS = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);

describe.each(DOCS)("%s", (file) => {
  it("tells people to type what is there", () => {
    const commands = commandsIn(read(file));
    const scripts = commands.flatMap((line) => /\bnpm run (?:-s )?([\w-]+)/.exec(line)?.[1] ?? []);
    expect(scripts.filter((name) => !SCRIPTS.includes(name))).toEqual([]);
    const files = commands.flatMap((line) => /^(?:sudo )?bash ((?:scripts|\.ci)\/\S+)/.exec(line)?.[1] ?? []);
    expect(files.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const verbs = commands.flatMap(
      (line) =>
        /^(?:sudo -u lazarus )?(?:npx |\.\/bin\/)?lazarus (?!listening on)(?:--\S+ \S+ )?([a-z]+)\b/.exec(
          line,
        )?.[1] ?? [],
    );
    expect(verbs.filter((verb) => !CLI_VERBS.includes(verb))).toEqual([]);
  });

  const links = [...read(file).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, to = ""]) => {
    const [path = "", anchor = ""] = to.split("#");
    return { path: path === "" ? file : relative(ROOT, join(ROOT, dirname(file), path)), anchor };
  });

  it("links to nothing that is missing", () => {
    expect(links.filter(({ path }) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it("links to no heading that is missing", () => {
    const missing = links.filter(
      ({ path, anchor }) => anchor !== "" && !anchorsOf(read(path)).includes(anchor),
    );
    expect(missing).toEqual([]);
  });
});
