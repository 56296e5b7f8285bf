import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tick } from "../../src/cells/clock-jumps.ts";
import { lookAtTime } from "../../src/cells/expiry.ts";
import { roleOnThread } from "../../src/commands/access/role-on-thread.ts";
import { createCommandHandlers } from "../../src/commands/dispatch.ts";
import { GRAMMAR, VERBS } from "../../src/commands/index.ts";
import { parseCommands } from "../../src/commands/parsing/parse.ts";
import { cardContent } from "../../src/commands/words/card.ts";
import { viewOf } from "../../src/commands/words/cell-view.ts";
import { silentLog } from "../../src/log.ts";
import { harvest, ID, jobOf, operator, origin } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

const [MIN, DAY] = [60_000, 86_400_000];

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

type Who = keyof ForgeRig["people"] | "operator";

/** What is answered to a line on the thread, or in a terminal; what is to be done is done. */
async function type(who: Who, line: string): Promise<string> {
  const [command] = parseCommands(line, GRAMMAR);
  if (command?.kind !== "command") throw new Error(`no command: ${line}`);
  const from = who === "operator" ? operator() : await onThread(who, line);
  const said = await VERBS.find((one) => one.name === command.verb)?.run(command, from, rig.deps);
  if (said?.kind === "refused") return said.reply.text;
  if (said?.kind !== "done") throw new Error(`${command.verb} was ${said?.kind}`);
  rig.db.transaction(() => said.effects?.());
  return (typeof said.line === "function" ? said.line() : said.line).text;
}

async function onThread(who: Exclude<Who, "operator">, line: string) {
  const commentId = await rig.standIn.people.comment(rig.people[who].login, rig.at, line);
  const from = origin(rig.people[who], here(), { commentId });
  return { ...from, asker: { ...from.asker, sourceId: commentId } as typeof from.asker };
}

const here = () => ({ repository: rig.repository, number: rig.at.number });
const members = () => viewOf(rig.cell(), rig.deps).members;
const card = () => cardContent(rig.cell(), rig.deps).text;
const live = async (ms: number) => {
  await rig.clock.advance(ms);
  tick(rig.deps);
  lookAtTime(rig.deps);
};

describe("inviting a person", () => {
  it("gives a role for some time, which card, status and mission.json tell", async () => {
    rig.idle(here());
    rig.clearJobs();
    expect(await type("owner", "/lazarus invite @reader executor --for 2d")).toBe(
      "cell 4f1c0b7e: reader is executor until 2026-11-23 14:02 UTC",
    );
    expect(members()).toEqual([
      { name: "allegro", kind: "bot", role: "executor" },
      { name: "reader", kind: "user", role: "executor", until: "2026-11-23T14:02:11.000Z" },
    ]);
    expect(rig.payloads("mark")).toMatchObject([{ mission: { members: members() } }]);
    expect(card()).toContain("Invited: reader (executor until 2026-11-23 14:02 UTC).");
    expect(card()).toContain("invited reader as executor until 2026-11-23 14:02 UTC");
    expect(await type("operator", "/lazarus status 4f1c")).toContain(
      "guests   reader (executor until 2026-11-23 14:02 UTC)",
    );
    expect(await type("reader", "/lazarus tell use numbers")).toBe("cell 4f1c0b7e: allegro goes on");
  });

  it("counts on the threads of its cell as long as it lasts: whoever has it is told why something is refused", async () => {
    rig.idle(here());
    const role = () => roleOnThread(rig.people.reader, here(), rig.deps);
    expect(await role()).toBe("observer");
    await type("owner", "/lazarus invite @reader executor --for 1m");
    expect(await role()).toBe("executor");
    expect(await roleOnThread(rig.people.reader, { ...here(), number: 999 }, rig.deps)).toBe("observer");
    await rig.clock.advance(MIN);
    expect(await role()).toBe("observer");
  });

  it("makes an observer where no role is typed, and by a CELL, too", async () => {
    rig.idle(here());
    expect(await type("owner", "/lazarus invite 4f1c @READER")).toBe("cell 4f1c0b7e: reader is observer");
    expect(members().at(-1)).toEqual({ name: "reader", kind: "user", role: "observer", until: null });
    expect(await type("reader", "/lazarus tell x")).toContain("reader has read permission");
  });

  it("ends when its time is over, asked at each question, and then the card says nothing of it", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader executor --for 1m");
    await rig.clock.advance(MIN);
    // Nobody looked at the time since.
    expect(await type("reader", "/lazarus tell use numbers")).toContain("reader has read permission");
    expect(members()).toHaveLength(1);
    rig.clearJobs();
    await live(0);
    expect(card()).not.toContain("Invited:");
    expect(card()).toContain("the invitation of reader is over");
    expect(rig.waiting()).toEqual(["card", "mark"]);
    rig.clearJobs();
    await live(0);
    expect(rig.waiting()).toEqual([]);
  });

  it("moves its end with the clock", async () => {
    rig.idle(here());
    await live(0);
    await type("owner", "/lazarus invite @reader executor --for 1h");
    rig.clock.jump(DAY);
    tick(rig.deps);
    lookAtTime(rig.deps);
    expect(members()).toMatchObject([{ name: "allegro" }, { name: "reader", role: "executor" }]);
    expect(await type("reader", "/lazarus tell use numbers")).toContain("goes on");
  });

  it("is ended by the role none, also of one who is called otherwise now", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader executor");
    expect(await type("owner", "/lazarus invite @reader none")).toBe(
      "cell 4f1c0b7e: reader is no guest any more",
    );
    expect(await type("owner", "/lazarus invite @reader none")).toBe("reader is no guest of cell 4f1c0b7e.");
    expect(await type("reader", "/lazarus tell x")).toContain("reader has read permission");
    rig.registry.guests.invite({
      ...{ cellId: ID, userId: 99_999, login: "gone", role: "executor", until: null, by: "owner", at: 0 },
    });
    expect(await type("owner", "/lazarus invite @gone none")).toContain("gone is no guest any more");
  });

  it("is replaced by the next one", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader executor --for 2d");
    await type("owner", "/lazarus invite @reader observer");
    expect(members().at(-1)).toEqual({ name: "reader", kind: "user", role: "observer", until: null });
  });

  it("takes nothing from what somebody may do anyway", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @dev observer");
    expect(await type("dev", "/lazarus tell use numbers")).toContain("goes on");
  });

  it("is by account: whoever has the name later is nobody", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader executor");
    const from = origin({ id: 99_999, login: "reader" }, here());
    const told = await VERBS.find((one) => one.name === "logs")?.run(
      { verb: "logs", words: [], flags: {}, text: null },
      from,
      rig.deps,
    );
    expect(told).toMatchObject({ kind: "refused" });
  });

  it("opens no repository: who may not read it any more is nobody in the cell", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader director");
    rig.standIn.people.removeCollaborator("acme/app", "reader");
    expect(await type("reader", "/lazarus close 4f1c")).toBe("There is no cell 4f1c here that you may see.");
  });

  it.each([
    ["/lazarus invite", "Whom? Type"],
    ["/lazarus invite 4f1c", "Whom? Type"],
    ["/lazarus invite 4f1c reader", "Who is reader? Type @reader for a person, bot:reader for an agent."],
    ["/lazarus invite bot:kimi director", "kimi was not invited: an agent directs nothing."],
    ["/lazarus invite bot:kimi --for 2d", "--for limits the role of a person: leave it out here."],
    ["/lazarus invite bot:", "No agent '' here. Available: allegro, ezra, kimi."],
    ["/lazarus invite bot:kimmi", "No agent kimmi here. Did you mean kimi?"],
    ["/lazarus invite bot:allegro", "allegro works in cell 4f1c0b7e already"],
    ["/lazarus invite bot:kimi none", "kimi is no guest of cell 4f1c0b7e."],
    ["/lazarus invite @reader executor now", "Usage: "],
    ["/lazarus invite @reader owner", "There is no role owner. Available: observer, executor, director"],
    ["/lazarus invite @reader --for 0s", "takes a duration from 1m to 90d, such as 2d, not 0s"],
    ["/lazarus invite @reader --for 59s", "not 59s"],
    ["/lazarus invite @reader --for 91d", "not 91d"],
    ["/lazarus invite @reader --for 1e9d", "not 1e9d"],
    ["/lazarus invite @reader none --for 2d", "--for limits the role of a person: leave it out here."],
    ["/lazarus invite @acme", "@acme is no person: name each one by themselves."],
    ["/lazarus invite @acme/leads", "@acme/leads is no person: name each one by themselves."],
    ["/lazarus invite @reader@example.org", "@reader@example.org is not a login"],
    ["/lazarus invite @", "@ is not a login"],
    ["/lazarus invite @nobody", "There is no user nobody that I can see."],
    ["/lazarus invite @lazarus", "That is my own account"],
    ["/lazarus invite @owner observer", "You direct cell 4f1c0b7e already"],
    ["/lazarus invite @outsider executor", "outsider was not invited: outsider cannot read acme/app."],
  ])("refuses %s", async (line, words) => {
    rig.standIn.people.createUser("outsider");
    rig.idle(here());
    expect(await type("owner", line)).toContain(words);
    expect(members()).toHaveLength(1);
  });

  it("takes a duration of exactly a minute and of 90 days", async () => {
    rig.idle(here());
    expect(await type("owner", "/lazarus invite @reader --for 60s")).toContain("until");
    expect(await type("owner", "/lazarus invite @reader --for 90d")).toContain("until");
  });

  it("is for directors, and for cells that live", async () => {
    rig.idle(here());
    expect(await type("dev", "/lazarus invite @reader")).toContain("dev has write permission");
    await type("owner", "/lazarus close --discard");
    expect(await type("owner", "/lazarus invite @reader")).toContain("is being closed");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect(await type("owner", "/lazarus invite @reader")).toContain(
      "is archived: 'lazarus revive 4f1c0b7e'",
    );
  });
});

describe("inviting an agent", () => {
  it("has it look at once, or after the present turn, and once only", async () => {
    rig.active(here());
    expect(await type("owner", "/lazarus invite BOT:Kimi")).toBe(
      "cell 4f1c0b7e: kimi looks at the work after the present turn",
    );
    expect(await type("owner", "/lazarus invite bot:kimi")).toBe(
      "kimi is invited to cell 4f1c0b7e already: its turn has not ended yet.",
    );
    expect(await type("owner", "/lazarus invite bot:kimi executor")).toContain("is invited to cell");
    expect(await type("owner", "/lazarus invite bot:kimi none")).toBe(
      "cell 4f1c0b7e: kimi is no guest any more",
    );
    rig.report("run-ended", { ...endOf(), endedAt: rig.clock.now() });
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(await type("owner", "/lazarus invite bot:kimi observer")).toBe(
      "cell 4f1c0b7e: kimi looks at the work",
    );
    expect(await type("owner", "/lazarus invite bot:kimi")).toContain("is invited to cell");
    expect(await type("owner", "/lazarus invite bot:kimi none")).toBe(
      "kimi is at work in cell 4f1c0b7e: 'lazarus stop 4f1c0b7e' ends its run.",
    );
    expect(await type("owner", "/lazarus tell --to kimi do it")).toContain("kimi only looks at cell");
  });

  it("has it go on with the work, as an executor", async () => {
    rig.idle(here());
    expect(await type("owner", "/lazarus invite bot:ezra executor")).toBe("cell 4f1c0b7e: ezra goes on");
    expect(rig.run()).toMatchObject({ agent: "ezra", role: "executor", requester: rig.people.owner });
    expect(await type("owner", "/lazarus invite bot:ezra")).toContain("ezra works in cell");
  });

  it("is for directors, and for cells that live", async () => {
    rig.idle(here());
    expect(await type("dev", "/lazarus invite bot:kimi")).toContain("dev has write permission");
    await type("owner", "/lazarus close --discard");
    expect(await type("owner", "/lazarus invite bot:kimi")).toContain("is being closed");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect(await type("owner", "/lazarus invite bot:kimi")).toContain("is archived");
  });
});

describe("a director by invitation", () => {
  const invited = async (left = {}) => {
    rig.idle(here(), left);
    await type("owner", "/lazarus invite @reader director");
  };
  const needs = "you direct cell 4f1c0b7e by invitation, and that takes a director of acme/app.";

  it("closes", async () => {
    await invited();
    expect(await type("reader", "/lazarus close")).toBe("cell 4f1c0b7e: closing");
  });

  it.each([
    ["/lazarus close --merge"],
    ["/lazarus destroy 4f1c --force"],
    ["/lazarus publish --allow-protected"],
    ["/lazarus publish --allow-secret KEY"],
    ["/lazarus invite @dev director"],
  ])("may not %s", async (line) => {
    await invited({ protectedPaths: [".gitea/workflows/x.yml decides what runs next"] });
    expect(await type("reader", line)).toContain(needs);
    expect(rig.cell().state).toBe("idle");
    expect(rig.cell().releasedTip).toBeNull();
  });

  it("invites others, but shows no director out and lengthens no time of its own", async () => {
    await invited();
    expect(await type("reader", "/lazarus invite @dev observer")).toBe("cell 4f1c0b7e: dev is observer");
    expect(await type("reader", "/lazarus invite @reader executor --for 90d")).toContain(needs);
    await type("owner", "/lazarus invite @dev director");
    expect(await type("reader", "/lazarus invite @dev none")).toContain(needs);
    expect(await type("reader", "/lazarus invite @dev observer")).toContain(needs);
  });

  it("keeps all rights that the forge gives", async () => {
    rig.idle(here());
    await type("operator", "/lazarus invite 4f1c @owner director");
    expect(await type("owner", "/lazarus invite @dev director")).toBe("cell 4f1c0b7e: dev is director");
  });
});

describe("what an invited person asked for", () => {
  const admit = async (n: number) => {
    const { admit: handle } = createCommandHandlers({ ...rig.deps, db: rig.db, log: silentLog });
    const { job, context } = jobOf("admit", { cellId: ID, run: n });
    const finish = await handle?.(job, context);
    rig.db.transaction(() => finish?.());
  };

  it("starts while the invitation counts", async () => {
    rig.active(here());
    await type("owner", "/lazarus invite @reader executor --for 1h");
    await type("reader", "/lazarus tell use numbers");
    rig.report("run-ended", { ...endOf(), endedAt: rig.clock.now() });
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    await admit(2);
    expect(rig.registry.messages.of(ID)).toMatchObject([{ state: "given" }]);
    expect(rig.payloads("take-in").length + rig.payloads("start").length).toBeGreaterThan(0);
  });

  it("does not where its time is over when the turn would start, and whoever asked sees why", async () => {
    rig.active(here());
    await type("owner", "/lazarus invite @reader executor --for 1m");
    await type("reader", "/lazarus tell use numbers");
    await rig.clock.advance(MIN);
    rig.report("run-ended", { ...endOf(), endedAt: rig.clock.now() });
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    await admit(2);
    expect(rig.registry.messages.of(ID)).toMatchObject([
      { state: "dropped", why: "the invitation of reader is over" },
    ]);
    expect(rig.run()).toMatchObject({ n: 2, state: "withdrawn" });
    expect(card()).toContain("A message of reader was never given: the invitation of reader is over.");
  });

  it("does not where whoever invited an agent directs no longer", async () => {
    rig.active(here());
    await type("owner", "/lazarus invite @reader director --for 1m");
    await type("reader", "/lazarus invite bot:kimi");
    await rig.clock.advance(MIN);
    rig.report("run-ended", { ...endOf(), endedAt: rig.clock.now() });
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
    expect(rig.run()).toMatchObject({ n: 2, agent: "kimi", state: "admitted" });
    await admit(2);
    expect(rig.run()).toMatchObject({ n: 2, state: "withdrawn" });
    expect(rig.cell().notStarted).toBe("not started: the invitation of reader is over");
  });

  it("is taken out of the line where the run itself was theirs", async () => {
    rig.idle(here());
    await type("owner", "/lazarus invite @reader executor --for 1m");
    const full = { cellId: ID, agent: "allegro", role: "executor", state: "admitted" } as const;
    const n = rig.registry.addRun({ ...full, requester: rig.people.reader });
    await rig.clock.advance(MIN);
    await admit(n);
    expect(rig.cell().notStarted).toBe("not started: the invitation of reader is over");
  });
});

const endOf = () => ({
  ...{ cellId: ID, run: 1, began: true, code: 0, signal: null, stopped: null },
  ...{ leftovers: [], refusedHosts: [] },
});
