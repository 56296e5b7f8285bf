import { expect, it } from "vitest";
import type { AgentConfig } from "../../src/config/config.ts";
import { unknownSecrets } from "../../src/runner/known-secrets.ts";

const heartbeats = { markOf: (name: string, value: string) => `${name}=${value}` };
const given = [{ name: "NODE_ENV", mark: "NODE_ENV=production" }];

function unknown(more: Partial<Pick<AgentConfig, "env" | "pass" | "set">>) {
  const agent = { env: {}, pass: {}, set: {}, ...more } as AgentConfig;
  return unknownSecrets(given, { config: { agents: new Map([["a", agent]]) }, heartbeats });
}

it("knows what is a secret still, and what is written as none by now", () => {
  for (const key of ["env", "pass", "set"])
    expect(unknown({ [key]: { NODE_ENV: "production" } })).toEqual({ missing: [], changed: [] });
});

it("names what is gone, and what has another value", () => {
  expect(unknown({})).toEqual({ missing: ["NODE_ENV"], changed: [] });
  for (const key of ["env", "pass", "set"])
    expect(unknown({ [key]: { NODE_ENV: "staging" } })).toEqual({ missing: [], changed: ["NODE_ENV"] });
});
