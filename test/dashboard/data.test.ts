import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cell } from "../../src/cells/cell.ts";
import { faultsOf } from "../cli/json-shape.ts";
import { ended, harvest, started } from "../fakes/control-rig.ts";
import { createDashboardRig, type DashboardRig } from "./dashboard-rig.ts";
import { type Seen, Visitor } from "./visitor.ts";

let rig: DashboardRig;
let cell: Cell;
let hidden: Cell;

beforeAll(async () => {
  rig = await createDashboardRig({
    files: {
      log: async () => ({ text: "one\ntwo\n", cut: false }),
      diff: async () => ({ text: "+new\n", cut: true }),
      artifacts: async () => [{ path: "reports/report.md", bytes: 12 }],
    },
  });
  cell = rig.create({
    ...{ repository: rig.repository, number: rig.at.number, title: "The password is hunter22" },
    brief: "Use hunter22 to log in.",
  });
  rig.report("run-started", started(cell.id, 1, rig.clock.now()));
  rig.report("run-ended", { ...ended(cell.id, 1, rig.clock.now()), refusedHosts: ["internal.example:443"] });
  rig.report("collected", { cellId: cell.id, run: 1, harvest: harvest({ heldBack: ["a large file"] }) });
  const elsewhere = await rig.standIn.people.createRepository("acme/secret", { isPrivate: true });
  hidden = rig.create({
    id: "0badcafe-0000-4000-8000-000000000000",
    ...{ repository: { id: elsewhere.id, fullName: "acme/secret" }, number: 1 },
  });
});
afterAll(async () => {
  await rig.stop();
});

const ask = (visitor: Visitor, path: string) =>
  visitor.ask(path, { headers: { accept: "application/json" } });
const told = ({ text }: Seen) => JSON.parse(text) as Record<string, unknown>;
const operator = () => rig.visitor({ id: null, login: "operator root" });

const PAGES = () => [
  ...["/", "/cells", "/queue", "/agents", "/agents/allegro", "/audit", "/health", "/me", "/help"],
  ...["", "/runs", "/runs/1", "/history", "/diff", "/brief", "/artifacts"].map(
    (end) => `/cells/${cell.id}${end}`,
  ),
];

describe("every page as data", () => {
  it("is JSON at the page's own address, in the form of --json, secrets hidden", async () => {
    for (const path of PAGES()) {
      const seen = await ask(operator(), path);
      expect([path, seen.status, seen.headers["content-type"]]).toEqual([
        path,
        200,
        "application/json; charset=utf-8",
      ]);
      expect([path, faultsOf(told(seen))]).toEqual([path, []]);
      expect(seen.text).not.toContain("hunter22");
      expect(seen.headers.vary).toContain("Accept,");
    }
  });

  it("says what the pages say", async () => {
    const one = operator();
    expect(told(await ask(one, `/cells/${cell.id}`))).toMatchObject({
      cells: [{ id: cell.id, state: "idle", title: "The password is [redacted]" }],
      you_can: expect.arrayContaining(["publish", "close"]),
    });
    expect(told(await ask(one, "/"))).toMatchObject({
      waits_for_a_person: { count: 1, yours: 1, cells: [{ id: cell.id, verb: "publish", is_yours: true }] },
      is_whole: true,
    });
    expect(told(await ask(one, `/cells/${cell.id}/runs/1`))).toMatchObject({
      run: { n: 1, agent: "allegro", state: "ended" },
      log: { first_line: 1, lines: ["one", "two"], is_cut: false },
    });
    expect(told(await ask(one, `/cells/${cell.id}/diff`))).toEqual({
      ...{ diff: "+new\n", is_cut: true },
      held_back: ["a large file"],
    });
    expect(told(await ask(one, `/cells/${cell.id}/brief`))).toMatchObject({
      brief: "Use [redacted] to log in.",
    });
    const { jobs } = told(await ask(one, "/queue")) as { jobs: { id: string }[] };
    expect(told(await ask(one, `/queue/${jobs[0]?.id}`))).toMatchObject({ job: jobs[0], attempts: [] });
  });

  it("a form has none, and browsers get pages whatever else they take", async () => {
    const form = await ask(operator(), `/cells/${cell.id}/close`);
    expect([form.status, told(form)]).toEqual([406, { error: "There is a page here, and no data." }]);
    for (const accept of ["text/html,application/json;q=0.9", "*/*"])
      expect((await operator().ask("/", { headers: { accept } })).text).toMatch(/^<!DOCTYPE html>/);
  });
});

describe("who gets what", () => {
  it("nothing without a login", async () => {
    for (const path of [...PAGES(), "/login/once?key=none"]) {
      const seen = await ask(new Visitor(rig.url), path);
      expect([path, seen.status]).toEqual([path, path.startsWith("/login") ? 403 : 401]);
      expect(Object.keys(told(seen))).toEqual(["error"]);
      expect(seen.text).not.toMatch(/acme|allegro/);
    }
  });

  it("nothing under another name, nor of an address that is none", async () => {
    const seen = await operator().ask("/", { headers: { accept: "application/json", host: "evil.example" } });
    expect([seen.status, told(seen)]).toEqual([421, { error: expect.stringContaining("server.url") }]);
  });

  it("a cell that one may not see is as one that is not there", async () => {
    const reader = rig.visitor(rig.people.reader);
    const unknown = await ask(reader, `/cells/${hidden.id.replace("0bad", "1bad")}`);
    const foreign = await ask(reader, `/cells/${hidden.id}`);
    expect([foreign.status, foreign.text.replaceAll("0bad", "1bad")]).toEqual([404, unknown.text]);
    const all = (await ask(reader, "/cells")).text + (await ask(reader, "/")).text;
    expect(all).toContain(cell.id);
    expect(all).not.toContain(hidden.id);
  });

  it("an observer gets nothing of what an agent did or may not reach", async () => {
    const [reader, dev] = [rig.visitor(rig.people.reader), rig.visitor(rig.people.dev)];
    expect((await ask(dev, `/cells/${cell.id}`)).text).toContain("internal.example");
    for (const path of ["/", "/cells", `/cells/${cell.id}`])
      expect((await ask(reader, path)).text).not.toContain("internal.example");
    expect(told(await ask(reader, `/cells/${cell.id}/runs/1`))).toMatchObject({ run: { n: 1 }, log: null });
    for (const end of ["diff", "brief", "artifacts"]) {
      const seen = await ask(reader, `/cells/${cell.id}/${end}`);
      expect([end, seen.status, told(seen)]).toEqual([
        end,
        403,
        { error: expect.stringContaining("write permission on acme/app") },
      ]);
    }
  });

  it("audit and health are for operators, and no session can be read", async () => {
    const dev = rig.visitor(rig.people.dev);
    for (const path of ["/audit", "/health"]) expect((await ask(dev, path)).status).toBe(403);
    const { agents } = told(await ask(dev, "/agents")) as { agents: { variables: unknown }[] };
    expect(agents.map((one) => one.variables)).toEqual(agents.map(() => null));
    const { text } = await ask(dev, "/me");
    const { login, sessions } = JSON.parse(text) as { login: string; sessions: { is_this: boolean }[] };
    expect([login, sessions.filter((one) => one.is_this).length]).toEqual(["dev", 1]);
    expect(text).not.toMatch(/"(id|secret)"/);
  });
});
