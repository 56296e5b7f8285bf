import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { fillReadme } from "../scripts/readme-tables.ts";
import { loadConfig } from "../src/config/config.ts";

const ROOT = resolve(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

describe("the README", () => {
  const readme = read("README.md");

  it("has the tables of commands and keys as the code has them (else: npm run docs)", () => {
    expect(readme).toBe(fillReadme(readme));
  });

  it("would be found out if a row were missing, or a table", () => {
    expect(fillReadme(readme.replace(/^\| `\/lazarus stop .*\n/m, ""))).toBe(readme);
    expect(fillReadme(readme.replace(/^\| `limits\.cells` .*\n/m, ""))).toBe(readme);
    expect(() => fillReadme(readme.replace("generated: commands", "made: commands"))).toThrow(/commands/);
  });

  it("shows a configuration that loads, given what it takes from the environment", () => {
    const blocks = [...readme.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = ""]) => text);
    expect(blocks).toHaveLength(1);
    const dir = mkdtempSync(join(tmpdir(), "readme-"));
    try {
      const file = join(dir, "lazarus.yaml");
      writeFileSync(file, blocks[0] ?? "");
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
});

describe.each([
  "README.md",
  "test/README.md",
  "docs/agents.md",
  "docs/architecture.md",
  "docs/network.md",
  "docs/operations.md",
  "CHANGELOG.md",
])("%s", (file) => {
  it("links to nothing that is missing", () => {
    const links = [...read(file).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)].map(([, to = ""]) => to);
    const missing = links.filter((to) => !existsSync(join(ROOT, dirname(file), to)));
    expect(missing).toEqual([]);
  });
});
