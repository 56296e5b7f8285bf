import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { ConfigFault } from "../../src/config/config-fault.ts";
import { checksOf, type RepositoryChecks, readRepositoryFile } from "../../src/config/repository-checks.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-checks-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const FORGE = "forge: {url: 'https://git.example.org', token: token-of-the-bot}";

function load(checks: string, env: Record<string, string> = {}) {
  const file = join(dir, "lazarus.yaml");
  writeFileSync(file, `${FORGE}\nchecks:\n${checks.replace(/^/gm, "  ")}\n`);
  return loadConfig({ file, env, cwd: dir, needs: ["forge", "agents"] });
}

function faults(checks: string): readonly string[] {
  try {
    load(checks);
    return [];
  } catch (error) {
    if (error instanceof ConfigFault) return error.faults;
    throw error;
  }
}

describe("checks", () => {
  test("holds for the first pattern that matches, in the order of the file, without case", () => {
    const { checks } = load('"acme/App": {setup: npm ci}\n"acme/*": {setup: make deps}');
    expect(checksOf(checks, "ACME/app")?.setup?.run).toBe("npm ci");
    expect(checksOf(checks, "acme/web")?.setup).toEqual({
      run: "make deps",
      network: "none",
      limitMs: 600_000,
      set: {},
    });
    expect(checksOf(checks, "other/app")).toBe(null);
  });

  test("has each other name as a check, in the order of the file, with the limit of limits.check", () => {
    const { notices, checks } = load(
      '"acme/*": {setup: npm ci, test: npm test, lint: {run: npm run lint, limit: 1m}}',
    );
    expect(notices).toEqual([]);
    expect([...(checks[0]?.checks ?? [])]).toEqual([
      ["test", { run: "npm test", network: "none", limitMs: 600_000, set: {} }],
      ["lint", { run: "npm run lint", network: "none", limitMs: 60_000, set: {} }],
    ]);
  });

  test("tells every fault with its path", () => {
    const wrong = [
      '"acme": {setup: npm ci}',
      '"acme/a": {setup: {network: [internet]}}',
      '"acme/b": {from: head, setup: {run: "", network: some, limit: 5, retries: 3}}',
      '"acme/c": {setup: {run: x, set: {LAZARUS_CELL: "1"}}}',
      '"acme/d": {setup: {run: x, set: {T: token-of-the-bot}}}',
      '"acme/e": yes',
      '"acme/f": {setup: [npm, ci]}',
      '"acme/g": {setup: {run: x, network: ["*"]}}',
      '"acme/h": {test: {limit: 1m}, "..": x, lint: {run: x, set: {LAZARUS_X: "1"}}, e2e: {run: x, tries: 3}}',
    ].join("\n");
    expect(faults(wrong)).toEqual(
      expect.arrayContaining([
        'checks.acme: "acme" is not owner/repo or owner/*',
        "checks.acme/a.setup.run: is missing: the command, unless from is branch",
        'checks.acme/b.from: "head" is not one of here, branch',
        'checks.acme/b.setup.run: "" is not a text',
        'checks.acme/b.setup.network: "some" is not one of none, full, or a list of hosts',
        'checks.acme/g.setup.network: "*" is no host: write network: full to let every host through',
        "checks.acme/b.setup.limit: 5 is not a duration such as 90s, 15m, 4h or 2d, longer than 0",
        "checks.acme/b.setup.retries: is not a key; here may stand run, network, limit, set",
        "checks.acme/c.setup.set: LAZARUS_CELL is Lazarus' own",
        "checks.acme/d.setup.set: T holds a secret of the forge, which no cell is ever given",
        'checks.acme/e: "yes" is not a section of keys',
        'checks.acme/f.setup: ["npm","ci"] is not a section of keys',
        "checks.acme/h.test.run: is missing: the command, unless from is branch",
        'checks.acme/h...: ".." is not a name of lower-case letters, digits and -',
        "checks.acme/h.lint.set: LAZARUS_X is Lazarus' own",
        "checks.acme/h.e2e.tries: is not a key; here may stand run, network, limit, set",
      ]),
    );
  });

  test("opens neither Lazarus' own port nor the forge to a setup", () => {
    const file = join(dir, "lazarus.yaml");
    writeFileSync(
      file,
      [
        "server: {listen: '127.0.0.1:8420'}",
        "forge: {url: 'http://127.0.0.1:3000', token: token-of-the-bot}",
        `checks: {"acme/*": {setup: {run: x, network: ["127.0.0.1:8420"]}}, "a/b": {setup: {run: x, network: ["localhost:3000"]}}}`,
      ].join("\n"),
    );
    expect(() => loadConfig({ file, env: {}, cwd: dir, needs: ["forge", "agents"] })).toThrow(
      /checks\.acme\/\*\.setup\.network: "127\.0\.0\.1:8420" is Lazarus' own port.*checks\.a\/b\.setup\.network: "localhost:3000" is the forge itself/,
    );
  });

  test("keeps values secret whose names say so", () => {
    const text = `"acme/*": {setup: {run: npm ci, set: {NPM_TOKEN: "\${NPM}", CI_NAME: plain}}, e2e: {run: x, set: {DB_PASSWORD: "hunter-2"}}}`;
    expect(load(text, { NPM: "a-registry-token" }).secrets).toEqual(
      expect.arrayContaining(["a-registry-token", "hunter-2", "token-of-the-bot"]),
    );
  });
});

describe("a repository's own file", () => {
  const granted = {
    run: null,
    network: ["registry.npmjs.org", "*.example.org", "127.0.0.1:4873"],
    limitMs: 300_000,
    set: { A: "1", B: "1" },
  };
  const nothing = { run: null, network: "none", limitMs: 120_000, set: {} } as const;
  const whole: RepositoryChecks = {
    ...{ pattern: "acme/*", from: "branch", setup: granted, others: nothing },
    checks: new Map([["e2e", { ...nothing, run: "make e2e", network: ["db.example.org"] }]]),
  };
  const file = (text: string) => readRepositoryFile(text, whole);
  const read = (text: string) => {
    const said = file(text);
    return said.kind === "file" ? said.setup : said;
  };

  test("names checks, each with what lazarus.yaml grants that name, and else no network", () => {
    const said = file(
      "lint: npm run lint\ne2e: {run: npm run e2e}\nunit: {run: x, network: [evil.org]}\nold: null",
    );
    expect(said.kind === "file" ? [...said.checks] : said).toEqual([
      ["lint", { kind: "command", command: { ...nothing, run: "npm run lint" } }],
      ["e2e", { kind: "command", command: { ...nothing, network: ["db.example.org"], run: "npm run e2e" } }],
      ["unit", { kind: "fault", why: "unit.network: evil.org is more than lazarus.yaml grants" }],
      ["old", { kind: "nothing" }],
    ]);
  });

  test("names the command, and has what lazarus.yaml grants where it names nothing else", () => {
    expect(read("setup: npm ci\ntest: npm test\n")).toEqual({
      kind: "command",
      command: { ...granted, run: "npm ci" },
    });
    expect(
      read("setup: {run: make, network: [pkg.example.org, '*.a.example.org'], limit: 1m, set: {B: '2'}}"),
    ).toEqual({
      kind: "command",
      command: {
        run: "make",
        network: ["pkg.example.org", "*.a.example.org"],
        limitMs: 60_000,
        set: { A: "1", B: "2" },
      },
    });
    expect(read("setup: {run: make, network: none}")).toMatchObject({ command: { network: "none" } });
    expect(read("test: npm test\n")).toEqual({ kind: "nothing" });
    expect(read("")).toEqual({ kind: "nothing" });
  });

  test.each([
    ["setup: {run: x, network: full}", "setup.network: full is more than lazarus.yaml grants"],
    ["setup: {run: x, network: [evil.org]}", "setup.network: evil.org is more than lazarus.yaml grants"],
    ["setup: {run: x, network: ['*.npmjs.org']}", "setup.network: *.npmjs.org is more"],
    ["setup: {run: x, network: ['*.org']}", "setup.network: *.org is more"],
    ["setup: {run: x, network: [example.org]}", "setup.network: example.org is more"],
    ["setup: {run: x, network: ['registry.npmjs.org:22']}", "setup.network: registry.npmjs.org:22 is more"],
    ["setup: {run: x, limit: 1h}", "setup.limit: 1h is more than lazarus.yaml grants, 5m"],
    ["setup: {network: none}", "setup.run: is missing"],
    ["setup: {run: x, set: {HOME: /root}}", "setup.set: HOME is Lazarus' own"],
    ["setup: {run: x, user: root}", "setup.user: is not a key"],
    ["setup: [npm, ci]", 'setup: ["npm","ci"] is not a section of keys'],
    ["setup: {run: x", "Flow map"],
    ["- setup", "it is not a mapping of keys"],
    ["../x: npm ci", '"../x" is not a name'],
    [Array.from({ length: 21 }, (_, n) => `t${n}: x`).join("\n"), "it has more than 20 names"],
    ["a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ne: &e [*d, *d]\nsetup: [*e, *e]", ""],
  ])("is refused: %s", (text, why) => {
    const said = read(text);
    expect(said.kind).toBe("fault");
    expect("why" in said ? said.why : "").toContain(why);
  });
});
