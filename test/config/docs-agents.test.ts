import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/config.ts";

const DOCS = readFileSync(join(import.meta.dirname, "../../docs/agents.md"), "utf8");
const BLOCKS = [...DOCS.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
const FORGE =
  'forge: {url: "https://git.example.org", token: t, webhook_secret: s, repositories: ["acme/*"]}\n';

const dir = mkdtempSync(join(tmpdir(), "lazarus-docs-"));
mkdirSync(join(dir, "homes/hermes"), { recursive: true });
mkdirSync(join(dir, "keys"));
writeFileSync(join(dir, "keys/my-agent"), "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n");
afterAll(() => rmSync(dir, { recursive: true }));

describe("docs/agents.md", () => {
  it.each(BLOCKS.map((text) => [/^ {2}(\w+):/m.exec(text)?.[1] ?? "", text]))(
    "has yaml for %s that loads",
    (name, text) => {
      writeFileSync(join(dir, "lazarus.yaml"), FORGE + text);
      const config = loadConfig({ env: {}, cwd: dir, needs: ["forge", "server", "agents"] });
      expect([...config.agents.keys()]).toEqual([name]);
      expect(config.agents.get(name)?.unavailable).toBeNull();
      expect(text.split("\n").length).toBeLessThanOrEqual(11);
    },
  );

  it("has one for each preset", () => {
    const presets = BLOCKS.flatMap((text) => /preset: (\w+)/.exec(text)?.[1] ?? []);
    expect(new Set(presets)).toEqual(
      new Set(["claude", "codex", "opencode", "gemini", "qwen", "hermes", "aider"]),
    );
  });
});
