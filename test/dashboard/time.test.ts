import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { createDashboardRig, type DashboardRig } from "./dashboard-rig.ts";
import { Visitor } from "./visitor.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let rig: DashboardRig;
beforeEach(async () => {
  rig = await createDashboardRig({ config: { directors: ["owner"] } });
});
afterEach(async () => {
  await rig.stop();
});

const here = () => ({ repository: rig.repository, number: rig.at.number });

it("a session is over after eight hours, and where the clock is set back before it was made", async () => {
  const dev = rig.visitor(rig.people.dev);
  expect((await dev.ask("/")).status).toBe(200);
  rig.clock.jump(8 * HOUR - 1);
  expect((await dev.ask("/")).status).toBe(200);
  rig.clock.jump(1);
  const over = await dev.ask("/cells");
  expect([over.status, over.text]).toEqual([401, expect.stringContaining("your session is over")]);
  rig.clock.jump(-9 * HOUR);
  expect((await dev.ask("/")).status).toBe(401);
});

it("a one-time link opens nothing after a minute", async () => {
  const key = rig.sessions.makeLink("operator root");
  rig.clock.jump(MINUTE);
  const seen = await new Visitor(rig.url).ask(`/login/once?key=${key}`);
  expect([seen.status, seen.text]).toEqual([403, expect.stringContaining("older than a minute")]);
});

it("a stream ends within a minute after its person lost the right, and shows nothing of what comes then", async () => {
  const cell = rig.idle(here());
  const { login } = rig.people.dev;
  const dev = rig.visitor(rig.people.dev);
  expect((await dev.ask(`/cells/${cell.id}`)).status).toBe(200);
  const streamed = dev.ask(`/events?on=/cells/${cell.id}`);
  await until("the stream looks", () => rig.clock.pending() > 0);
  rig.standIn.people.removeCollaborator("acme/app", login);
  rig.db.sql
    .prepare("UPDATE cells SET title = 'after the right was lost' WHERE id = @id")
    .run({ id: cell.id });
  let isOver = false;
  void streamed.then(() => {
    isOver = true;
  });
  await rig.clock.advance(BELIEVED_MS);
  for (let look = 0; look < 60 && !isOver; look++) await rig.clock.advance(1_000);
  expect(isOver).toBe(true);
  const { text } = await streamed;
  expect(text).toContain("event: page");
  expect(text.trim().endsWith('data: {"why":"no-right"}')).toBe(true);
  expect((await dev.ask(`/cells/${cell.id}`)).status).toBe(404);
});

const BELIEVED_MS = 60_000;

it("an action asks the forge at once, whatever was seen a moment ago", async () => {
  const cell = rig.idle(here());
  const dev = rig.visitor(rig.people.dev);
  expect((await dev.ask(`/cells/${cell.id}/brief`)).status).toBe(200);
  rig.standIn.people.removeCollaborator("acme/app", rig.people.dev.login);
  expect((await dev.ask(`/cells/${cell.id}`)).status).toBe(200);
  for (const end of ["/brief", "/diff", "/artifacts", "/revive", "/runs/1/log.txt"])
    expect([end, (await dev.ask(`/cells/${cell.id}${end}`)).status]).toEqual([end, 403]);
});

it("somebody who took over the name of another has none of their rights", async () => {
  const cell = rig.idle(here());
  const dev = rig.visitor(rig.people.dev);
  rig.standIn.people.renameUser("dev", "was-dev");
  const other = rig.standIn.people.createUser("dev");
  expect((await dev.ask(`/cells/${cell.id}`)).status).toBe(200);
  expect((await rig.visitor({ id: other.id, login: "dev" }).ask(`/cells/${cell.id}`)).status).toBe(404);
});

it("where the forge does not tell, cells are hidden, and only that is said", async () => {
  const cell = rig.idle(here());
  const dev = rig.visitor(rig.people.dev);
  rig.standIn.faults.add({ match: { path: /permission/ }, answer: { status: 403, body: "{}" }, times: 100 });
  const page = await dev.ask("/");
  expect(page.text).toContain("The forge does not say now what you may do on some repositories.");
  expect(page.text).not.toContain(cell.id);
  expect(page.text).not.toContain("acme/app");
});
