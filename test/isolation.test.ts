import { expect, it } from "vitest";
import type { Backend, BackendCheck, BackendName } from "../src/backends/backend.ts";
import type { AgentConfig } from "../src/config/config.ts";
import { keepLooking, settleBackends } from "../src/isolation.ts";
import { createFakeClock, settle as settleTurns } from "./fakes/clock.ts";

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
    pass: {},
    unsetPass: [],
    set: {},

    git: { name: null, email: null, keyPath: null, hasCoAuthor: false },
    healthUrl: null,
    runsOn: [],
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
      costUsd: 0,
      tokens: 0,
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

it.each([true, false])(
  "never falls back: where the sandbox does not work it cannot be summoned, with what is missing (default: %s)",
  async (isDefaultBackend) => {
    const { agent: settled, notices } = await settle(agent({ isDefaultBackend }), {
      sandbox: BROKEN,
      process: WORKS,
    });
    expect(settled).toMatchObject({ backend: "sandbox" });
    expect(settled?.unavailable).toContain("bubblewrap is not installed; apt-get install bubblewrap");
    expect(settled?.unavailable?.includes("or write backend: process into agents.allegro")).toBe(
      isDefaultBackend,
    );
    expect(notices.join()).toContain("cannot be summoned");
  },
);

it("looks again where a look failed, as it may under load, and gives up after the third", async () => {
  let looks = 0;
  const flaky = (failures: number) => {
    looks = 0;
    const check = async () => (++looks > failures ? WORKS : BROKEN);
    return new Map([["sandbox", { name: "sandbox", check }]]) as unknown as ReadonlyMap<BackendName, Backend>;
  };
  const one = agent({});
  const settled = async (failures: number) =>
    (await settleBackends({ agents: new Map([[one.name, one]]) }, flaky(failures))).agents.get(one.name);
  expect((await settled(2))?.unavailable).toBeNull();
  expect((await settled(9))?.unavailable).not.toBeNull();
  expect(looks).toBe(3);
});

it("looks again every minute, and lets agents be summoned as soon as their backend works", async () => {
  let check: BackendCheck | Error = BROKEN;
  const look = async () => {
    if (check instanceof Error) throw check;
    return check;
  };
  const backends = new Map([["sandbox", { name: "sandbox", check: look }]]);
  const made = backends as unknown as ReadonlyMap<BackendName, Backend>;
  const [one, never] = [agent({}), agent({ name: "never", unavailable: "its home is gone" })];
  const given = { agents: new Map([one, never].map((each) => [each.name, each])) };
  const settled = await settleBackends(given, made);
  const clock = createFakeClock();
  const works: string[] = [];
  const failures: unknown[] = [];
  const told = {
    works: (name: string) => void works.push(name),
    failed: (why: unknown) => void failures.push(why),
  };
  const stop = keepLooking(settled, { given, backends: made }, { clock, ...told });
  const minute = async () => {
    await clock.advance(60_000);
    await settleTurns();
  };
  await minute();
  expect(settled.agents.get("allegro")?.unavailable).toContain("bubblewrap is not installed");
  check = new Error("too many open files");
  await minute();
  expect(failures).toEqual([check]);
  check = WORKS;
  await minute();
  expect(works).toEqual(["allegro"]);
  expect(settled.agents.get("allegro")).toBe(one);
  expect(settled.agents.get("never")?.unavailable).toContain("its home is gone");
  await minute();
  expect(works).toEqual(["allegro"]);
  stop();
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
