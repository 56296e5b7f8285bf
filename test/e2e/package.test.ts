import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { operatorOf, Visitor } from "../dashboard/visitor.ts";
import { freePort, Stage } from "./stage.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NOT_CHECKED_IN = ["node_modules", "dist", "dist-test", ".git", "coverage", ".bench"];

let dir: string;
let installed: string;
let bin: string;

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;

/**
 * What `npm install` makes of a tarball, without a registry and a compiler: the package, and of the
 * dependencies of this checkout those alone that it names, without the optional ones.
 */
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus package-"));
  const checkout = join(dir, "checkout");
  const left = NOT_CHECKED_IN.map((name) => join(ROOT, name));
  cpSync(ROOT, checkout, { recursive: true, filter: (path) => !left.includes(path) });
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  const packed = execFileSync("npm", ["pack", "--silent", "--offline", "--pack-destination", dir], {
    cwd: checkout,
    encoding: "utf8",
  });
  const tarball = join(dir, packed.trim().split("\n").at(-1) ?? "");
  rmSync(checkout, { recursive: true });

  installed = join(dir, "prefix/lib/node_modules/lazarus");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(installed, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link);
  }
  bin = join(dir, "prefix/bin/lazarus");
  mkdirSync(dirname(bin));
  symlinkSync("../lib/node_modules/lazarus/bin/lazarus.js", bin);
}, 300_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const ask = (...words: string[]) =>
  execFileSync(bin, words, { cwd: dir, encoding: "utf8", env: { PATH: process.env.PATH } });

it("says its version, its help and what a shell completes", () => {
  expect(ask("--version")).toBe(`${manifest.version}\n`);
  expect(ask("help")).toContain("Usage: lazarus");
  expect(ask("completion", "bash")).toContain("-F _lazarus lazarus");
});

it("serves what its own example configures", async () => {
  const example = parse(readFileSync(join(installed, "lazarus.example.yaml"), "utf8"));
  const stage = await Stage.set({ serve: false, bin });
  try {
    const { forge, data, missions, server, uids, metrics, ...rest } = example;
    const { lazarus } = stage;
    const own = parse(readFileSync(lazarus.configPath, "utf8"));
    const listen = `127.0.0.1:${await freePort()}`;
    writeFileSync(
      lazarus.configPath,
      stringify({
        ...rest,
        ...{ data: own.data, missions: own.missions, uids: own.uids },
        server: { listen },
        forge: { ...forge, ...own.forge, public_url: own.forge.url, ca_file: undefined },
        metrics: { ...metrics, listen: `127.0.0.1:${await freePort()}` },
      }),
    );
    await lazarus.serve({ env: { LOGIN_ID: "id", LOGIN_SECRET: "secret", METRICS_TOKEN: "metrics" } });
    expect((await fetch(`${lazarus.url}/healthz`)).status).toBe(200);
  } finally {
    await stage.strike();
  }
});

it("brings an agent's work to a draft, and shows its pages", async () => {
  const stage = await Stage.set({
    bin,
    agents: {},
    more: { agents: { demo: { preset: "demo", backend: "process" } } },
  });
  try {
    const issue = await stage.openIssue("One line more");
    await stage.type(stage.dev, issue, "/lazarus summon demo");
    await stage.card(issue, /demo is done.*→ draft #\d+/);
    const operator = await operatorOf(stage.lazarus);
    const { text } = await operator.ask("/");
    const files = [...text.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(files).toHaveLength(3);
    for (const file of files) expect((await new Visitor(stage.lazarus.url).ask(file)).status).toBe(200);
  } finally {
    await stage.strike();
  }
});

it("brings what setup writes, and what the docs lead to", () => {
  for (const file of [".gitea/ISSUE_TEMPLATE/mission-proposal.yaml", "contrib/lazarus.service"])
    expect(readFileSync(join(installed, file), "utf8")).toBe(readFileSync(join(ROOT, file), "utf8"));
  const readme = readFileSync(join(installed, "README.md"), "utf8");
  const linked = [...readme.matchAll(/\]\(((?:docs|contrib|CHANGELOG)\b[^)#]+)/g)].map(
    ([, path = ""]) => path,
  );
  expect(linked.length).toBeGreaterThan(10);
  for (const file of linked) expect(readFileSync(join(installed, file)).length).toBeGreaterThan(0);
});
