import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { secretsOfHome } from "../../src/config/home-secrets.ts";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "lazarus-home-"));
});
afterEach(() => rmSync(home, { recursive: true }));

function put(path: string, text: string): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
}

it.each([
  [
    "claude/.credentials.json",
    '{"claudeAiOauth": {"accessToken": "sk-ant-oat01-abc", "refreshToken": "sk-ant-ort01-x", "scopes": ["user:inference"], "subscriptionType": "maximum"}}',
    ["sk-ant-oat01-abc", "sk-ant-ort01-x"],
  ],
  [
    "codex/auth.json",
    '{"OPENAI_API_KEY": null, "tokens": {"id_token": "eyJhbGciOi.x.y", "account": "0a1b2c3d-0000-4000-8000-000000000000"}, "last_refresh": "2026-01-01T00:00:00.000Z"}',
    ["eyJhbGciOi.x.y", "0a1b2c3d-0000-4000-8000-000000000000"],
  ],
  [
    "gemini/.gemini/.env",
    "# GEMINI_API_KEY=not-this-one\nexport GEMINI_API_KEY='AIza-s0mething'\n",
    ["AIza-s0mething"],
  ],
  [".env.local", 'MODEL=claude-sonnet-4-5-20250929\nDB_PASSWORD="correct-horse" # yes\n', ["correct-horse"]],
  [
    "codex/config.toml",
    'model = "gpt-5-codex-20260101"\n[model_providers.x]\nenv_key = "OPENAI_API_KEY"\nexperimental_bearer_token = "bearer-0f-x"\nsort_key = "created_at"\n',
    ["bearer-0f-x"],
  ],
  [
    "qwen/settings.json",
    '{"security": {"auth": {"selectedType": "oauth-personal", "apiKey": "sk-qwen-1"}}}',
    ["sk-qwen-1"],
  ],
  [".netrc", "machine git.example.org login me password hunter22-x\n", ["hunter22-x"]],
  [".git-credentials", "https://me:p%40ssword@git.example.org\n", ["p%40ssword", "p@ssword"]],
  [".npmrc", "//registry.example.org/:_authToken=npm_abcd3fgh\n", ["npm_abcd3fgh"]],
  [
    "xdg/config/gh/hosts.yml",
    "github.com:\n    oauth_token: gho_abcd3fgh\n    user: somebody-else\n",
    ["gho_abcd3fgh"],
  ],
  [".aws/credentials", "[default]\naws_secret_access_key = abc/def+ghi\n", ["abc/def+ghi"]],
  [
    ".ssh/id_ed25519",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    ["b3BlbnNzaC1rZXktdjEAAAAA"],
  ],
])("finds what %s brings", (path, text, expected) => {
  put(path, text);
  expect(secretsOfHome(home).sort()).toEqual([...expected].sort());
});

it("finds nothing in other files, in short values, in paths, and behind links", () => {
  const outside = mkdtempSync(join(tmpdir(), "lazarus-outside-"));
  writeFileSync(join(outside, "auth.json"), '{"token": "token-outside"}');
  symlinkSync(join(outside, "auth.json"), join(home, "auth.json"));
  symlinkSync(outside, join(home, "linked"));
  put("notes.md", "token: token-in-notes");
  put("node_modules/x/auth.json", '{"token": "token-of-a-package"}');
  put(
    "claude/settings.json",
    '{"apiKeyHelper": "/bin/get-key", "token": "short", "keyFile_key": "~/a/long/path"}',
  );
  put("large/auth.json", JSON.stringify({ token: "x".repeat(300_000) }));
  expect(secretsOfHome(home)).toEqual([]);
  expect(secretsOfHome(join(home, "none"))).toEqual([]);
  expect(secretsOfHome(null)).toEqual([]);
  rmSync(outside, { recursive: true });
});
