import { afterEach, beforeEach, expect, it } from "vitest";
import { measureInto } from "../../src/meter.ts";
import { collect } from "../../src/metrics/collect.ts";
import { createRedactor } from "../../src/redact.ts";
import { createDashboardRig, type DashboardRig } from "../dashboard/dashboard-rig.ts";
import { Visitor } from "../dashboard/visitor.ts";
import { until } from "../fakes/until.ts";

let rig: DashboardRig;
let told: { family: string; labels: object; value: number }[];
beforeEach(async () => {
  rig = await createDashboardRig();
  told = [];
  measureInto((family, labels, value) => void told.push({ family, labels, value }));
});
afterEach(async () => {
  measureInto(null);
  await rig.stop();
});

const of = (name: string) => told.filter(({ family }) => family === name);

it("counts secrets that were hidden, and nothing where there was none", () => {
  const { redact } = createRedactor(["correct-horse"]);
  redact("nothing of that kind");
  redact("correct-horse and again correct-horse");
  expect(of("redactions_total")).toEqual([{ family: "redactions_total", labels: {}, value: 2 }]);
});

it("counts sign-ins by what came of them", async () => {
  const visitor = new Visitor(rig.url);
  await visitor.ask(`/login/once?key=${rig.sessions.makeLink("operator")}`);
  await visitor.ask("/login/once?key=none");
  await visitor.ask("/login/callback?state=of-another-window&code=x");
  expect(of("logins_total").map(({ labels }) => labels)).toEqual([
    { result: "done" },
    { result: "link_used" },
    { result: "other_window" },
  ]);
});

it("tells how many pages are open", async () => {
  const dev = rig.visitor(rig.people.dev);
  const streamed = dev.ask("/events?on=/");
  await until("the page is open", () => of("streams").at(-1)?.value === 1);
  rig.sessions.end(rig.sessions.of({ userId: rig.people.dev.id, login: "dev" })[0]?.id ?? "");
  for (let look = 0; look < 60 && of("streams").at(-1)?.value !== 0; look++) await rig.clock.advance(1_000);
  await streamed;
  expect(of("streams").map(({ value }) => value)).toEqual([1, 0, 0]);
});

it("tells of runners on other hosts: whether they are heard, since when not, and their places", () => {
  const { runners } = rig.registry;
  const facts = {
    ...{ version: "0.1.0", protocol: 1, bootId: "b", kinds: [], labels: [], slots: 4, beatMs: 10_000 },
    agents: [],
  };
  runners.add("far", rig.clock.now());
  runners.add("silent", rig.clock.now());
  runners.add("never", rig.clock.now());
  runners.update("silent", { facts, heardAt: rig.clock.now() });
  rig.clock.jump(60_000);
  runners.update("far", { facts, heardAt: rig.clock.now() });
  const gauges = collect({ ...rig, notReady: () => [], botId: () => 1 }, "0.1.0");
  const values = (name: string) =>
    gauges[name]?.map(({ labels, value }) => [...Object.values(labels), value]);
  expect(values("runner_up")).toEqual([
    ["far", 1],
    ["never", 0],
    ["silent", 0],
  ]);
  expect(values("runner_heartbeat_age_seconds")).toEqual([
    ["far", 0],
    ["silent", 60],
  ]);
  expect(values("runner_places")).toEqual(
    expect.arrayContaining([
      ["far", "used", 0],
      ["far", "free", 4],
    ]),
  );
});
