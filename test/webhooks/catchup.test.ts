import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tick } from "../../src/cells/clock-jumps.ts";
import { createDeadlines } from "../../src/cells/registry/deadlines.ts";
import type { Forge } from "../../src/gitea/port.ts";
import { type CatchUp, createCatchUp, OVERLAP_MS, SETTLED_MS } from "../../src/webhooks/catchup.ts";
import { createSeenEntries } from "../../src/webhooks/seen-entries.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";
import { until } from "../fakes/until.ts";

let rig: ForgeRig;
let said: { level: string; message: string; source: unknown }[];
beforeEach(async () => {
  rig = await createForgeRig();
  said = [];
  // Its issue is older than the overlap.
  pass(HOUR_MS);
});
afterEach(() => rig.stop());

const HOUR_MS = 60 * 60_000;

/** One process' catch-up, begun at the forge's time. */
function open(
  patterns: readonly string[] = ["acme/*"],
  more: { forge?: Pick<Forge, "moved">; pollMs?: number } = {},
) {
  const handled = createSeenEntries(rig.db, { clock: rig.clock, patterns });
  const log = (level: string) => (facts: { source?: unknown }, message: string) =>
    void said.push({ level, message, source: facts.source });
  const catchUp = createCatchUp({
    ...rig.deps,
    db: rig.db,
    handled,
    log: { info: log("info"), warn: log("warn"), error: log("error"), debug() {} },
    patterns,
    pollMs: 60_000,
    isServed: rig.deps.rights.isServed,
    ...more,
  });
  return { catchUp, handled };
}
function begin(...given: Parameters<typeof open>): CatchUp {
  const { catchUp, handled } = open(...given);
  const now = rig.standIn.world.now();
  handled.serve(given[0] ?? ["acme/*"], now);
  catchUp.begin(now, now);
  return catchUp;
}
/** The threads that are to be looked at; they are worked off by this. */
function ticked(): string[] {
  const threads = rig.payloads("thread").map((one) => `${one.repository.fullName}#${one.number}`);
  rig.clearJobs();
  return threads.sort();
}
/** Lets time pass, here and there. */
const pass = (ms: number) => {
  rig.standIn.world.offsetMs += ms;
  rig.clock.jump(ms);
};
const say = (body = "hello", at = rig.at) => rig.standIn.people.comment("dev", at, body);
const requests = (path: RegExp) => rig.standIn.count("GET", path);
const issue = async (repo = "acme/app") => ({
  repo,
  number: await rig.standIn.people.openIssue("owner", repo, { title: "t", body: "" }),
});

describe("what moved", () => {
  it("is looked at: new threads, comments and their removal, reviews, closings, merges", async () => {
    await rig.standIn.people.commit("dev", "acme/app", { branch: "topic", files: { "a.txt": "a" } });
    const wanted = { title: "t", body: "", head: "topic", base: "main" };
    const pull = {
      repo: "acme/app",
      number: await rig.standIn.people.openPullRequest("dev", "acme/app", wanted),
    };
    const removed = await say();
    pass(HOUR_MS);
    const catchUp = begin();
    pass(HOUR_MS);
    const acts: [string, () => Promise<unknown>][] = [
      ["acme/app#1", () => say()],
      ["acme/app#1", () => rig.standIn.people.deleteComment("dev", removed)],
      ["acme/app#2", () => rig.standIn.people.review("owner", pull, { state: "APPROVED", body: "" })],
      ["acme/app#2", () => rig.standIn.people.merge("owner", pull)],
      ["acme/app#1", () => rig.standIn.people.closeIssue("owner", rig.at)],
      ["acme/app#3", () => issue()],
    ];
    for (const [thread, act] of acts) {
      await act();
      pass(SETTLED_MS);
      expect(await catchUp.look()).toBe(true);
      expect(ticked()).toEqual([thread]);
      pass(HOUR_MS);
    }
  });

  it("is neither what moved before the first start, nor an edit or a reaction", async () => {
    pass(HOUR_MS);
    const old = await say();
    pass(HOUR_MS);
    const catchUp = begin();
    await rig.standIn.people.editComment("dev", old, "/lazarus help");
    await rig.deps.forge.react({ owner: "acme", name: "app" }, old, "eyes");
    await catchUp.look();
    expect(ticked()).toEqual([]);
  });

  it("is found after a restart, from where the last look came to", async () => {
    await begin().look();
    pass(24 * HOUR_MS);
    await say();
    pass(HOUR_MS);
    const again = begin();
    await again.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    await again.look();
    expect(ticked()).toEqual([]);
  });

  it("is in every repository of an owner, also one that is made later, and in no other owner's", async () => {
    const catchUp = begin();
    await rig.standIn.people.createRepository("acme/young");
    await rig.standIn.people.createRepository("dev/own");
    const young = await issue("acme/young");
    await issue("dev/own");
    pass(SETTLED_MS);
    await catchUp.look();
    expect(ticked()).toEqual([`acme/young#${young.number}`]);
  });

  it("leaves the mark where the ticks could not be stored", async () => {
    const catchUp = begin();
    await say();
    pass(SETTLED_MS);
    rig.db.sql.exec("CREATE TRIGGER full BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    expect(await catchUp.look()).toBe(false);
    rig.db.sql.exec("DROP TRIGGER full");
    pass(HOUR_MS);
    expect(await catchUp.look()).toBe(true);
    expect(ticked()).toEqual(["acme/app#1"]);
  });
});

describe("a thread", () => {
  it("is looked at once more when its second is over, and then not until it moves", async () => {
    const catchUp = begin();
    await say();
    await catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    // Stored in the same second, after that look.
    await say();
    pass(SETTLED_MS + 1_000);
    await catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    for (let looks = 0; looks < 5; looks++) {
      pass(5_000);
      await catchUp.look();
    }
    expect(ticked()).toEqual([]);
  });

  it("is looked at twice at most for what the bot says itself", async () => {
    const catchUp = begin();
    await rig.standIn.people.comment("lazarus", rig.at, "<!-- lazarus:card:x -->");
    let looks = 0;
    for (let poll = 0; poll < 10; poll++) {
      pass(30_000);
      await catchUp.look();
      looks += ticked().length;
    }
    expect(looks).toBe(1);
  });

  it("that was stored late, with a time before the mark, is found within the overlap", async () => {
    const catchUp = begin();
    pass(HOUR_MS);
    await catchUp.look();
    const thread = rig.standIn.world.mustThread(rig.standIn.world.mustRepository("acme/app"), 1);
    thread.updatedAt = rig.standIn.world.now() - OVERLAP_MS + 5_000;
    await catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
  });
});

describe("what it costs", () => {
  it("is one request for each owner or name when nothing moved, for a hundred repositories too", async () => {
    for (let left = 20; left > 0; left--)
      await rig.standIn.people.createRepository(`acme/r${left}`, { files: null });
    const catchUp = begin(["acme/*", "acme/app", "dev/own", "dev/other"]);
    await rig.standIn.people.createRepository("dev/own");
    await rig.standIn.people.createRepository("dev/other");
    for (const name of ["dev/own", "dev/other"]) rig.standIn.people.addCollaborator(name, "lazarus", "read");
    const before = rig.standIn.requests.length;
    for (let polls = 0; polls < 10; polls++) expect(await catchUp.look()).toBe(true);
    expect(rig.standIn.requests.length - before).toBe(30);
    expect(requests(/^\/api\/v1\/repos\/issues\/search\?.*owner=acme/)).toBe(10);
  });

  it("is a few more where more than a page moved; nothing is missed that moves, or goes, meanwhile", async () => {
    const catchUp = begin();
    const numbers: number[] = [];
    for (let left = 120; left > 0; left--) numbers.push((await issue()).number);
    pass(SETTLED_MS + 1_000);
    const before = rig.standIn.requests.length;
    const [youngest = 0] = numbers.slice(-1);
    // Between the first page and the second one an issue disappears, so that all that follow it move up.
    const threads = rig.standIn.world.mustRepository("acme/app").threads;
    const forge: Pick<Forge, "moved"> = rig.deps.forge;
    const looking = forge.moved({ kind: "owner", owner: "acme" }, rig.standIn.world.now() - HOUR_MS);
    await until("the first page is read", () => requests(/page=1\b/) > 0);
    threads.delete(youngest);
    const found = (await looking).threads.map((one) => one.number);
    for (const number of numbers.slice(0, -1)) expect(found).toContain(number);
    expect(rig.standIn.requests.length - before).toBeLessThanOrEqual(9);
    await catchUp.look();
    expect(ticked()).toHaveLength(119);
  });
});

describe("a forge that is not well", () => {
  const at = (path: RegExp, status: number, html?: string) =>
    rig.standIn.faults.add({
      match: { path },
      times: 99,
      answer: { status, ...(html === undefined ? { body: '{"message":"no"}' } : { html }) },
    });

  it.each([
    [403, undefined],
    [404, undefined],
    [404, "<html>not here</html>"],
  ])(
    "with %i for one name keeps no other from being read, and is told of once",
    async (status, html) => {
      await rig.standIn.people.createRepository("dev/own");
      rig.standIn.people.addCollaborator("dev/own", "lazarus", "read");
      const catchUp = begin(["acme/app", "dev/own"], {
        forge: {
          // Without the client's own pauses.
          moved: (scope, since) => rig.deps.forge.moved(scope, since),
        },
      });
      const well = at(/repos\/acme\/app\/issues/, status, html);
      const here = await issue();
      const there = await issue("dev/own");
      pass(SETTLED_MS);
      for (let looks = 0; looks < (html === undefined ? 3 : 1); looks++)
        expect(await catchUp.look()).toBe(false);
      expect(ticked()).toEqual([`dev/own#${there.number}`]);
      expect(said.filter((one) => one.level === "warn")).toMatchObject([{ source: "repository:acme/app" }]);
      well();
      pass(HOUR_MS);
      expect(await catchUp.look()).toBe(true);
      expect(ticked()).toEqual([`acme/app#${here.number}`]);
      expect(said.filter((one) => one.message.includes("can be read again"))).toHaveLength(1);
    },
    20_000,
  );

  it("tells an owner that is not there by 400, once", async () => {
    const catchUp = begin(["nobody/*", "acme/*"]);
    await say();
    pass(SETTLED_MS);
    await catchUp.look();
    await catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    expect(said.filter((one) => one.level === "warn")).toMatchObject([{ source: "owner:nobody" }]);
  });
});

describe("clocks", () => {
  it("of the forge that went back lose nothing of what came after", async () => {
    const catchUp = begin();
    pass(HOUR_MS);
    await catchUp.look();
    rig.standIn.world.offsetMs -= 24 * HOUR_MS;
    pass(60_000);
    await say();
    pass(SETTLED_MS);
    await catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    const handled = createSeenEntries(rig.db, { clock: rig.clock, patterns: ["acme/*"] });
    expect(handled.servedSince("acme/app")).toBeLessThan(rig.standIn.world.now());
    pass(SETTLED_MS);
    await catchUp.look();
    expect(ticked()).toEqual([]);
  });

  it("that are set back both, as on one machine, hide nothing of what was typed while Lazarus was down", async () => {
    const deadlines = createDeadlines(rig.db);
    const before = begin();
    tick({ ...rig.deps, deadlines });
    await before.look();
    before.stop();
    rig.clock.jump(-24 * HOUR_MS);
    rig.standIn.world.offsetMs -= 24 * HOUR_MS;
    await say();
    // Time that passes, for the machine too.
    rig.standIn.world.offsetMs += HOUR_MS;
    await rig.clock.advance(HOUR_MS);
    tick({ ...rig.deps, deadlines });
    await open().catchUp.look();
    expect(ticked()).toEqual(["acme/app#1"]);
  });

  it("tell what the forge's shows now", async () => {
    rig.standIn.world.offsetMs = 5 * HOUR_MS;
    const { catchUp } = open();
    expect(catchUp.forgeNow()).toBe(null);
    const before = rig.standIn.world.now();
    catchUp.begin(before, before);
    await catchUp.look();
    const after = rig.standIn.world.now();
    rig.clock.jump(1_000);
    // The forge tells whole seconds.
    expect(catchUp.forgeNow()).toBeGreaterThan(before - 1_000 + 1_000);
    expect(catchUp.forgeNow()).toBeLessThanOrEqual(after + 1_000);
  });
});

describe("its rhythm", () => {
  it("is a look at once and one after each pause, until it is stopped", async () => {
    const catchUp = begin();
    const looks = () => requests(/issues\/search/);
    catchUp.start();
    await until("it looked", () => looks() === 1 && rig.clock.pending() === 1);
    await rig.clock.advance(60_000);
    await until("it looked again", () => looks() === 2 && rig.clock.pending() === 1);
    catchUp.stop();
    await rig.clock.advance(600_000);
    expect(looks()).toBe(2);
  });

  it("is a single look with a poll of 0, tried again where it failed", async () => {
    const catchUp = begin(["acme/*"], { pollMs: 0 });
    const looks = () => requests(/issues\/search/);
    rig.standIn.faults.add({ match: { path: /issues\/search/ }, answer: { status: 403 } });
    catchUp.start();
    await until("it failed", () => said.length === 1 && rig.clock.pending() === 1);
    await rig.clock.advance(60_000);
    await until("it looked", () => said.length === 2);
    await rig.clock.advance(600_000);
    expect([looks(), rig.clock.pending()]).toEqual([2, 0]);
  });

  it("does not begin before the forge has told its clock", async () => {
    const { catchUp } = open();
    expect(await catchUp.look()).toBe(true);
    expect(requests(/issues\/search/)).toBe(0);
  });
});

describe("other patterns after a restart", () => {
  it("go on where the old ones were: a repository keeps what was typed meanwhile", async () => {
    await begin(["acme/app"]).look();
    const first = rig.standIn.world.now();
    pass(HOUR_MS);
    await say();
    pass(HOUR_MS);
    const second = rig.standIn.world.now();
    const again = begin(["acme/*"]);
    await again.look();
    expect(ticked()).toEqual(["acme/app#1"]);
    const handled = createSeenEntries(rig.db, { clock: rig.clock, patterns: ["acme/*"] });
    expect(handled.servedSince("acme/app")).toBeLessThanOrEqual(first);
    expect(handled.servedSince("acme/other")).toBeGreaterThan(second - 1_000);
  });
});
