import { expect, it } from "vitest";
import type { Backend, BackendCheck, BackendName } from "../src/backends/backend.ts";
import type { AgentConfig } from "../src/config/config.ts";
import { settleBackends } from "../src/isolation.ts";

const WORKS: BackendCheck = { ok: true, note: "" };
const BROKEN: BackendCheck = {
  ok: false,
  why: "bubblewrap is not installed",
  fix: "apt-get install bubblewrap",
};

function agent(more: Partial<AgentConfig>): AgentConfig {
  return {
    name: "allegro",
    preset: null,
    command: ["/usr/bin/true"],
    args: [],
    model: null,
    brief: null,
    homeTemplate: null,
    env: {},
    unsetEnv: [],
    set: {},
    git: { name: null, email: null, keyPath: null, hasCoAuthor: false },
    healthUrl: null,
    backend: "sandbox",
    isDefaultBackend: true,
    unavailable: null,
    network: "none",
    image: null,
    paths: [],
    limits: {
      runMs: 1,
      memoryBytes: null,
      processes: null,
      logBytes: 1,
      fileBytes: 1,
      quietMs: 1,
      stalledMs: 1,
    },
    ...more,
  };
}

/** Only what is looked at: whether it works here. */
function backends(checks: Partial<Record<BackendName, BackendCheck>>): ReadonlyMap<BackendName, Backend> {
  const made = Object.entries(checks).map(([name, check]) => [name, { name, check: async () => check }]);
  return new Map(made as unknown as [BackendName, Backend][]);
}

async function settle(one: AgentConfig, checks: Partial<Record<BackendName, BackendCheck>>) {
  const { agents, notices } = await settleBackends({ agents: new Map([[one.name, one]]) }, backends(checks));
  return { agent: agents.get(one.name), notices };
}

it("runs an agent that names no backend in the sandbox, and says nothing", async () => {
  const { agent: settled, notices } = await settle(agent({}), { sandbox: WORKS, process: WORKS });
  expect(settled).toMatchObject({ backend: "sandbox", unavailable: null });
  expect(notices).toEqual([]);
});

it("runs it as a plain process where the sandbox does not work, and says what that is worth", async () => {
  const { agent: settled, notices } = await settle(agent({}), { sandbox: BROKEN, process: WORKS });
  expect(settled).toMatchObject({ backend: "process", unavailable: null });
  expect(notices[0]).toContain(
    "runs as a plain process, since sandbox does not work here: bubblewrap is not installed",
  );
  expect(notices[0]).toContain("not isolated");
  expect(notices[1]).toContain("agents.allegro.network: does not hold");
});

it("never falls back where the file names the backend: it cannot be summoned, with what is missing", async () => {
  const { agent: settled, notices } = await settle(agent({ isDefaultBackend: false }), {
    sandbox: BROKEN,
    process: WORKS,
  });
  expect(settled).toMatchObject({ backend: "sandbox" });
  expect(settled?.unavailable).toContain("bubblewrap is not installed; apt-get install bubblewrap");
  expect(notices.join()).toContain("cannot be summoned");
});

it("refuses a backend that is not there", async () => {
  const { agent: settled } = await settle(agent({ backend: "container", isDefaultBackend: false }), {
    process: WORKS,
  });
  expect(settled?.unavailable).toContain("there is no backend container here");
});

it("says of a configured process that it is not isolated", async () => {
  const { notices } = await settle(agent({ backend: "process", isDefaultBackend: false, network: "full" }), {
    process: WORKS,
  });
  expect(notices).toEqual([expect.stringContaining("runs as a plain process, as configured")]);
});
