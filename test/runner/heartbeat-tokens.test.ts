import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { AgentConfig } from "../../src/config/config.ts";
import { createRedactor } from "../../src/redact.ts";
import { openHeartbeatAccess } from "../../src/runner/heartbeat-tokens.ts";

const CELL = "4f1c0b7e-1111-4222-8333-444455556666";
const OTHER = "9ab24c11-1111-4222-8333-444455556666";
const PUBLIC = "https://lazarus.example.org/bot/";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-heartbeat-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const process = { backend: "process", network: "none" } as const;
const opened = (publicUrl = PUBLIC, listening = "http://127.0.0.1:8420") => {
  const access = openHeartbeatAccess(dir, publicUrl);
  access.listensAt(listening);
  return access;
};
const tokenOf = (cell: string, access = opened()) =>
  access.environmentOf(cell, process).LAZARUS_HEARTBEAT_TOKEN ?? "";

it("gives each cell a token of its own, the same after a restart, hidden wherever it shows", () => {
  const token = tokenOf(CELL);
  const access = opened();
  expect(tokenOf(CELL)).toBe(token);
  expect(access.isToken(CELL, token)).toBe(true);
  expect(access.isToken(OTHER, token)).toBe(false);
  expect(access.isToken(OTHER, tokenOf(OTHER))).toBe(true);
  for (const wrong of ["", token.slice(0, -1), `${token}0`, token.toUpperCase(), "x".repeat(100_000)])
    expect(access.isToken(CELL, wrong)).toBe(false);
  expect(access.isToken("", "")).toBe(false);
  expect(createRedactor([]).redact(`a ${token} b`)).toBe("a [redacted] b");
});

it("keeps its key for its owner alone, and another key makes other tokens", () => {
  const token = tokenOf(CELL);
  const path = join(dir, "heartbeat.key");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).not.toContain(token.slice(-20));
  rmSync(path);
  expect(opened().isToken(CELL, token)).toBe(false);
});

it("names a key that is none, and changes nothing", () => {
  const path = join(dir, "heartbeat.key");
  writeFileSync(path, "");
  expect(() => opened()).toThrow(/holds no key of 64 hex digits: remove it/);
  expect(readFileSync(path, "utf8")).toBe("");
  rmSync(path);
  // Half of one that was being made when somebody pulled the plug.
  writeFileSync(`${path}.new`, "0123");
  chmodSync(`${path}.new`, 0o644);
  expect(opened().isToken(CELL, tokenOf(CELL))).toBe(true);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

it.each<[string, Pick<AgentConfig, "backend" | "network">, string | null]>([
  ["a process", process, "http://127.0.0.1:8420"],
  ["a sandbox with the network", { backend: "sandbox", network: "full" }, "http://127.0.0.1:8420"],
  ["a sandbox without", { backend: "sandbox", network: "none" }, null],
  ["a sandbox with listed hosts", { backend: "sandbox", network: ["127.0.0.1"] }, null],
  [
    "a container with the network",
    { backend: "container", network: "full" },
    "https://lazarus.example.org/bot",
  ],
  ["a container without", { backend: "container", network: "none" }, null],
])("tells %s where to send heartbeats only where it gets there", (_, agent, base) => {
  const env = opened().environmentOf(CELL, agent);
  expect(env.LAZARUS_HEARTBEAT_URL ?? null).toBe(base === null ? null : `${base}/cells/${CELL}/heartbeat`);
  expect(Object.keys(env)).toHaveLength(base === null ? 0 : 2);
});

it("names the loopback where Lazarus listens everywhere, and nothing where nobody listens", () => {
  const url = (listening: string) =>
    opened(PUBLIC, listening).environmentOf(CELL, process).LAZARUS_HEARTBEAT_URL;
  expect(url("http://0.0.0.0:80")).toMatch(/^http:\/\/127\.0\.0\.1\//);
  expect(url("http://[::]:8420")).toMatch(/^http:\/\/\[::1\]:8420\//);
  expect(url("http://10.1.2.3:8420")).toMatch(/^http:\/\/10\.1\.2\.3:8420\//);
  expect(openHeartbeatAccess(dir, PUBLIC).environmentOf(CELL, process)).toEqual({});
  for (const local of ["http://127.0.0.1:8420", "http://localhost", "http://[::1]:1", "http://0.0.0.0:8420"])
    expect(opened(local).environmentOf(CELL, { backend: "container", network: "full" })).toEqual({});
});
