// Runs in the image of Lazarus, before `serve`: a repository to try it on, and `lazarus setup`. To run it again mends what is not there.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const { ADMIN, ADMIN_PASSWORD, FORGE_URL, LAZARUS_URL, TOKEN_FILE, HOME_DIR } = process.env;
const LAZARUS = process.env.LAZARUS_BIN ?? "/app/bin/lazarus.js";
const REPOSITORY = "hello";
const api = `${FORGE_URL}/api/v1`;

async function ask(method, path, { headers, body } = {}) {
  const response = await fetch(`${api}${path}`, {
    method,
    headers: { "Content-Type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: await response.json().catch(() => null) };
}

const token = readFileSync(TOKEN_FILE, "utf8").trim();
const made = await ask("POST", "/user/repos", {
  headers: { Authorization: `token ${token}` },
  body: { name: REPOSITORY, auto_init: true, default_branch: "main" },
});
if (made.status !== 201 && made.status !== 409) {
  console.error(`${ADMIN}/${REPOSITORY} could not be made: the forge answered ${made.status}`);
  process.exit(1);
}

const file = join(HOME_DIR, "lazarus.yaml");
const first = [
  ...["--agent", "demo", "--form", "commit"],
  ...["--listen", `0.0.0.0:${new URL(LAZARUS_URL).port}`],
];
const isThere = existsSync(file);
// An older file, of a bot that administers, stays as it is.
const isLent = !isThere || readFileSync(file, "utf8").includes("rights_token");
const words = [
  ...["--config", file, "setup", "--yes", "--forge", FORGE_URL],
  ...["--repository", `${ADMIN}/${REPOSITORY}`, "--url", LAZARUS_URL],
  ...(isLent ? ["--admin-token-file", TOKEN_FILE] : []),
  ...(isThere ? [] : first),
];
const { status } = spawnSync(process.execPath, [LAZARUS, ...words], { stdio: "inherit" });

// Whoever finds the token later can do nothing with it.
rmSync(TOKEN_FILE, { force: true });
const headers = { Authorization: `Basic ${Buffer.from(`${ADMIN}:${ADMIN_PASSWORD}`).toString("base64")}` };
const tokens = await ask("GET", `/users/${ADMIN}/tokens`, { headers });
for (const one of Array.isArray(tokens.json) ? tokens.json : [])
  if (one.name.startsWith("lazarus-setup-"))
    await ask("DELETE", `/users/${ADMIN}/tokens/${one.id}`, { headers });
process.exit(status ?? 1);
