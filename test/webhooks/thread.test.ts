import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { issueHash, sha256 } from "../../src/hash.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import { parseText } from "../../src/webhooks/read-text.ts";
import { createSeenEntries } from "../../src/webhooks/seen-entries.ts";
import { createThreadHandler, threadTick } from "../../src/webhooks/thread.ts";
import { jobOf } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
  serve(rig.standIn.world.now() - 60_000);
});
afterEach(() => rig.stop());

const PATTERNS = ["acme/*", "dev/*"];
const handled = () => createSeenEntries(rig.db, { clock: rig.clock, patterns: PATTERNS });
const serve = (at: number) => handled().serve(["acme/*"], at);

/**
 * Looks at #1 as the handler of a tick does; `delivered` maps comment ids to the text their delivery held.
 */
async function tick(
  delivered: Record<number, string> = {},
  at: Partial<JobPayload<"thread">> = {},
  forgeNow = rig.standIn.world.now() + 60_000,
) {
  const handlers = createThreadHandler({
    ...rig.deps,
    db: rig.db,
    handled: handled(),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    parse: parseText,
    forgeNow: () => forgeNow,
  });
  const payload: JobPayload<"thread"> = {
    repository: rig.repository,
    number: rig.at.number,
    delivered: Object.fromEntries(
      Object.entries(delivered).map(([id, body]) => [
        id,
        {
          body: sha256(body),
          hadCommand: parseText(body).length > 0,
          issue: issueHash("Make the parser accept empty input", "It throws on an empty string."),
        },
      ]),
    ),
    ...at,
  };
  const { job, context } = jobOf("thread", payload);
  const finish = await handlers.thread?.(job, context);
  if (finish !== undefined) rig.db.transaction(finish);
}
const say = (who: string, body: string) => rig.standIn.people.comment(who, rig.at, body);
const commands = () => rig.payloads("command").map((one) => one.verb);
const said = () => rig.payloads("comment").map((one) => one.text);
const comment = (id: number) => {
  const found = rig.standIn.world.comments.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no comment ${id}`);
  return found;
};
/** Sets when a comment was made. */
const date = (id: number, at: number) => Object.assign(comment(id), { createdAt: at, updatedAt: at });

describe("a look at a thread", () => {
  it("runs what is new, oldest first, once, whatever ticks come", async () => {
    await say("dev", "/lazarus status");
    await say("owner", "Hello\n\n/lazarus help\n/lazarus stop");
    await tick();
    await tick();
    expect(commands()).toEqual(["status", "help", "stop"]);
    expect(rig.payloads("react").map((one) => one.reaction)).toEqual(["eyes", "eyes"]);
    await say("dev", "/lazarus why");
    await tick();
    expect(commands()).toEqual(["status", "help", "stop", "why"]);
  });

  it("keeps who typed it, where, and which text of the issue they saw", async () => {
    const id = await say("dev", "/lazarus help");
    await tick({ [id]: "/lazarus help" });
    expect(rig.payloads("command")).toMatchObject([
      {
        asker: { via: "forge", number: 1, source: "comment", sourceId: id, index: 0, person: rig.people.dev },
        issueHash: issueHash("Make the parser accept empty input", "It throws on an empty string."),
      },
    ]);
  });

  it("goes by time where ids are out of order", async () => {
    const [first, second] = [await say("dev", "/lazarus help"), await say("dev", "/lazarus status")];
    date(second, comment(first).createdAt - 2_000);
    await tick();
    expect(commands()).toEqual(["status", "help"]);
  });

  it("marks nothing when its finish is rolled back", async () => {
    await say("dev", "/lazarus help");
    rig.db.sql.exec(
      "CREATE TRIGGER full BEFORE INSERT ON jobs WHEN NEW.kind = 'command' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    await expect(tick()).rejects.toThrow("disk full");
    rig.db.sql.exec("DROP TRIGGER full");
    expect(rig.waiting()).toEqual([]);
    await tick();
    expect(commands()).toEqual(["help"]);
  });

  it("refuses the eleventh command and what cannot be read, once each", async () => {
    await say("dev", `${"/lazarus help\n".repeat(12)}`);
    await say("dev", "/lazarus sumon allegro");
    await tick();
    expect(commands()).toHaveLength(10);
    expect(said()).toEqual([
      "A comment holds up to 10 commands; the rest of this one was left out.",
      "No command `sumon`. Did you mean `summon`?",
    ]);
  });
});

describe("never run", () => {
  it("are the bot's own words and comments that bear a marker, whoever wrote them", async () => {
    await say("lazarus", "/lazarus help");
    await say("stranger", "<!-- lazarus:card:4f1c0b7e -->\n/lazarus help");
    await say("dev", "> /lazarus help\n\n```\n/lazarus help\n```\n\n    /lazarus help\n`/lazarus help`");
    await tick();
    expect(rig.waiting()).toEqual([]);
  });

  it("is a comment that was edited after its delivery: it is told so where it held a command", async () => {
    const id = await say("dev", "/lazarus help");
    await rig.standIn.people.editComment("dev", id, "/lazarus destroy --force");
    await tick({ [id]: "/lazarus help" });
    await tick({ [id]: "/lazarus help" });
    expect(commands()).toEqual([]);
    expect(said()).toEqual(["That comment was edited before I read it: type the command again."]);
    expect(rig.payloads("react").map((one) => one.reaction)).toEqual(["confused"]);
  });

  it("is a comment whose second of change is another one, whatever a delivery says it held", async () => {
    const id = await say("dev", "/lazarus help");
    Object.assign(comment(id), { body: "/lazarus stop", updatedAt: comment(id).createdAt + 1_000 });
    await tick({ [id]: "/lazarus stop" });
    expect(commands()).toEqual([]);
    expect(said()).toEqual(["That comment was edited before I read it: type the command again."]);
  });

  it("is a comment of which two deliveries differ, whichever came last: one of them is forged", async () => {
    const seen = (body: string) => ({ body: sha256(body), hadCommand: true, issue: "i" });
    for (const texts of [
      ["/lazarus help", "/lazarus stop"],
      ["/lazarus stop", "/lazarus help"],
    ]) {
      const id = await say("dev", "/lazarus help");
      // Somebody who may edit it does so within its second, and signs a delivery that fits.
      comment(id).body = "/lazarus stop";
      for (const text of texts)
        rig.queue.put(threadTick({ repository: rig.repository, number: 1 }, { [id]: seen(text) }));
      const [waiting] = rig.payloads("thread");
      rig.clearJobs();
      await tick({}, { delivered: waiting?.delivered ?? {} });
      expect(said()).toHaveLength(1);
    }
    expect(commands()).toEqual([]);
  });

  it("is a command edited into a harmless comment, in silence", async () => {
    const id = await say("dev", "hello");
    await rig.standIn.people.editComment("owner", id, "/lazarus destroy --force");
    await tick({ [id]: "hello" });
    expect(rig.waiting()).toEqual([]);
  });

  it("is an edited comment that had no delivery, in silence; an untouched one is run", async () => {
    const id = await say("dev", "/lazarus help");
    comment(id).updatedAt = comment(id).createdAt + 2_000;
    await say("dev", "/lazarus status");
    await tick();
    expect(commands()).toEqual(["status"]);
    expect(said()).toEqual([]);
  });

  it("is an edit of what was handled", async () => {
    const id = await say("dev", "hello");
    await tick();
    await rig.standIn.people.editComment("dev", id, "/lazarus help");
    await tick();
    expect(rig.waiting()).toEqual([]);
  });

  it("is what is older than the first start that served the repository", async () => {
    rig.db.sql.exec("DELETE FROM served");
    const old = await say("dev", "/lazarus help");
    date(old, comment(old).createdAt - 120_000);
    serve(rig.standIn.world.now() - 60_000);
    await say("dev", "/lazarus status");
    await tick();
    expect(commands()).toEqual(["status"]);
    // Touching the thread, or the old comment, does not make it younger.
    await rig.standIn.people.editComment("dev", old, "/lazarus help");
    await tick({ [old]: "/lazarus help" });
    expect(commands()).toEqual(["status"]);
  });

  it("is anything before the forge has told its clock: the tick waits", async () => {
    rig.db.sql.exec("DELETE FROM served");
    await say("dev", "/lazarus help");
    await expect(tick()).rejects.toMatchObject({ code: "forge-unreachable", retryable: true });
  });

  it.each([
    ["of another id", () => ({ repository: { id: 999, fullName: "acme/app" } })],
    ["that is not served", () => ({ repository: { id: rig.repository.id, fullName: "other/app" } })],
    ["of an impossible name", () => ({ repository: { id: 1, fullName: "acme/.." } })],
  ])("is a thread of a repository %s", async (_what, at) => {
    await say("dev", "/lazarus help");
    await tick({}, at());
    expect(rig.waiting()).toEqual([]);
  });

  it("is what was deleted, or never was: it is looked for again for a while, and then given up", async () => {
    let missed = 0;
    for (let looks = 0; looks < 50; looks++) {
      rig.clearJobs();
      await tick({}, { number: 4711, missed });
      const [again] = rig.payloads("thread");
      if (again === undefined) break;
      missed = again.missed ?? 0;
    }
    expect(missed).toBe(14);
    expect(rig.waiting()).toEqual([]);
  });

  it("is a thread of a repository that was made again under its name", async () => {
    await say("dev", "/lazarus help");
    rig.standIn.people.deleteRepository("acme/app");
    await rig.standIn.people.createRepository("acme/app");
    await rig.standIn.people.openIssue("owner", "acme/app", { title: "x", body: "" });
    await tick();
    expect(rig.waiting()).toEqual([]);
  });
});

it("believes no text of an issue of which two deliveries differ", () => {
  const seen = (issue: string) => ({ 5: { body: "b", hadCommand: true, issue } });
  for (const issue of ["one", "another"])
    rig.queue.put(threadTick({ repository: rig.repository, number: 1 }, seen(issue)));
  expect(rig.payloads("thread")).toMatchObject([{ delivered: { 5: { body: "b", issue: "" } } }]);
});

describe("a thread with more than can be read at once", () => {
  /** Of an answer, so that each needs less of everything than the usual 32 MiB. */
  const MOST_BYTES = 4 * 1024 * 1024;
  const PIECE = MOST_BYTES / 32;
  beforeEach(async () => {
    await rig.stop();
    rig = await createForgeRig({ mostBytes: MOST_BYTES });
    serve(rig.standIn.world.now() - 60_000);
  });

  it("is heard all the same, and what is far too long and holds a command is answered", async () => {
    for (let n = 0; n < 34; n++) await say("reader", "x".repeat(PIECE));
    const long = `${"x\n".repeat(PIECE)}/lazarus help`;
    const id = await say("reader", long);
    await say("dev", "/lazarus status");
    await tick({ [id]: long });
    expect(commands()).toEqual(["status"]);
    expect(said()).toEqual([expect.stringContaining("longer than I read (64 KB)")]);
  });

  it("says once what it steps past", async () => {
    await say("reader", "x".repeat(33 * PIECE));
    await say("dev", "/lazarus status");
    await tick();
    await tick();
    await say("reader", "x".repeat(33 * PIECE));
    await tick();
    expect(commands()).toEqual(["status"]);
    expect(said()).toEqual([expect.stringContaining("too large for me to read")]);
  });
});

describe("a tick of another name than its repository has", () => {
  it.each([
    ["another repository", () => rig.standIn.people.createRepository("acme/other")],
    ["none", async () => {}],
  ])("is looked at under that name alone, where there is %s: it may be forged", async (_what, prepare) => {
    await prepare();
    const id = await say("dev", "/lazarus help");
    comment(id).body = "/lazarus stop";
    await tick({ [id]: "/lazarus stop" }, { repository: { id: rig.repository.id, fullName: "acme/other" } });
    expect(commands()).toEqual([]);
  });
});

describe("a forge that says 404 of what is there", () => {
  it.each([
    ["the repository", /\/repos\/acme\/app$|\/repositories\/\d+$/],
    ["the thread", /\/issues\/1$/],
  ])(
    "loses no tick: %s is looked for again, sooner where a delivery comes, with its hashes",
    async (_what, path) => {
      const id = await say("dev", "/lazarus help");
      const well = rig.standIn.faults.add({
        match: { path },
        times: 99,
        answer: { status: 404, body: '{"message":"not here"}' },
      });
      await tick({ [id]: "/lazarus help" });
      await tick({ [id]: "/lazarus help" });
      const [job] = rig.queue.list({ states: ["waiting"] });
      expect(rig.payloads("thread")).toMatchObject([
        { missed: 1, delivered: { [id]: { hadCommand: true } } },
      ]);
      expect(job?.notBefore).toBeGreaterThan(rig.clock.now());
      rig.queue.put(threadTick({ repository: rig.repository, number: 1 }, {}));
      expect(rig.queue.list({ states: ["waiting"] })[0]?.notBefore).toBeLessThanOrEqual(rig.clock.now());
      expect(rig.payloads("thread")).toMatchObject([{ delivered: { [id]: { hadCommand: true } } }]);
      well();
      await tick({ [id]: "/lazarus help" });
      expect(commands()).toEqual(["help"]);
    },
  );
});

describe("a command so young that its delivery may be on its way", () => {
  const soon = () => rig.standIn.world.now() + 1_000;

  it("waits for it, and so does what was typed after it; not an edit, and not for ever", async () => {
    const first = await say("dev", "/lazarus help");
    const second = await say("dev", "/lazarus status");
    await rig.standIn.people.editComment("owner", first, "/lazarus destroy --force");
    Object.assign(comment(first), { updatedAt: comment(first).createdAt });
    // The second one's delivery overtook the first one's.
    await tick({ [second]: "/lazarus status" }, {}, soon());
    expect(rig.waiting()).toEqual(["thread"]);
    expect(Object.keys(rig.payloads("thread")[0]?.delivered ?? {})).toEqual([String(second)]);
    await tick({ [first]: "/lazarus help", [second]: "/lazarus status" }, {}, soon());
    expect(commands()).toEqual(["status"]);
    expect(said()).toEqual(["That comment was edited before I read it: type the command again."]);
  });

  it("is run as it stands where no delivery comes", async () => {
    await say("dev", "/lazarus help");
    await say("reader", "no command waits for nothing");
    await tick({}, {}, soon());
    expect([commands(), rig.queue.list({ states: ["waiting"] }).length]).toEqual([[], 1]);
    await tick({}, {}, soon() + 5_000);
    expect(commands()).toEqual(["help"]);
  });
});

describe("a registry that was put back to an older state", () => {
  it("runs nothing again that bears a reaction of the bot, and what others reacted to", async () => {
    const [ran, liked] = [await say("dev", "/lazarus help"), await say("dev", "/lazarus status")];
    await rig.deps.forge.react({ owner: "acme", name: "app" }, ran, "eyes");
    const like = { userId: rig.people.reader.id, content: "eyes", createdAt: 0 };
    comment(liked).reactions.push(like);
    await tick();
    await tick();
    expect(commands()).toEqual(["status"]);
  });
});

describe("comments at lines", () => {
  let pull: { repo: string; number: number };
  beforeEach(async () => {
    const { people } = rig.standIn;
    await people.commit("dev", "acme/app", { branch: "fix", files: { "a.txt": "a" } });
    const number = await people.openPullRequest("dev", "acme/app", {
      ...{ title: "Fix", body: "", head: "fix", base: "main" },
    });
    pull = { repo: "acme/app", number };
  });
  const review = (...bodies: string[]) =>
    rig.standIn.people.review("owner", pull, {
      ...{ state: "COMMENT", body: "See below." },
      lines: bodies.map((body, at) => ({ path: "a.txt", at: at + 1, body })),
    });
  const look = (delivered: Record<string, string> = {}) => tick(delivered, { number: pull.number });

  it("run their commands, in their order, with their author's name, and bear reactions", async () => {
    const { id } = await review("/lazarus help", "No command", "/lazarus status");
    const [first, , third] = rig.standIn.people.linesOf(id);
    await look();
    expect(rig.payloads("command").map(({ verb, asker }) => [verb, asker])).toMatchObject([
      ["help", { source: "line", sourceId: first?.id, person: rig.people.owner, number: pull.number }],
      ["status", { source: "line", sourceId: third?.id }],
    ]);
    expect(rig.payloads("react").map((one) => one.commentId)).toEqual([first?.id, third?.id]);
    await look();
    expect(commands()).toEqual(["help", "status"]);
  });

  it("are heard in replies of others, with the right of whoever replied", async () => {
    const { id } = await review("Say five.");
    await look();
    const reply = await rig.standIn.people.replyAtLine("dev", pull, id, "/lazarus why");
    await look({ [reply]: "/lazarus why" });
    expect(rig.payloads("command")).toMatchObject([
      { verb: "why", asker: { source: "line", sourceId: reply, person: rig.people.dev } },
    ]);
  });

  it("are asked for only where their number has changed", async () => {
    await review("Say five.");
    await look();
    await look();
    expect(rig.standIn.count("GET", /reviews\/\d+\/comments/)).toBe(1);
  });

  it("make no thread deaf where they are larger than one answer may be, which is said once", async () => {
    await review(...Array.from({ length: 34 }, () => "x".repeat(1024 ** 2)));
    await rig.standIn.people.comment("dev", pull, "/lazarus help");
    await look();
    await look();
    expect(commands()).toEqual(["help"]);
    expect(said().filter((one) => one.includes("too large"))).toHaveLength(1);
  });

  it("are not run again that bear the bot's reaction from another life", async () => {
    const { id } = await review("/lazarus help");
    const [line] = rig.standIn.people.linesOf(id);
    line?.reactions.push({ userId: rig.people.bot.id, content: "eyes", createdAt: 0 });
    await look();
    expect(commands()).toEqual([]);
  });

  it("are not run where they were edited, or are the bot's own", async () => {
    const { id } = await review("/lazarus help", "/lazarus status");
    const [first, second] = rig.standIn.people.linesOf(id);
    if (first === undefined || second === undefined) throw new Error("no lines");
    Object.assign(first, { updatedAt: first.createdAt + 1_000 });
    Object.assign(second, { authorId: rig.people.bot.id });
    await look();
    expect(commands()).toEqual([]);
  });
});

describe("reviews", () => {
  it("run their commands with the reviewer's name, also where a comment bears the same id", async () => {
    await rig.standIn.people.commit("dev", "acme/app", { branch: "topic", files: { "a.txt": "a" } });
    const wanted = { title: "t", body: "", head: "topic", base: "main" };
    const number = await rig.standIn.people.openPullRequest("dev", "acme/app", wanted);
    const at = { repo: "acme/app", number };
    const review = await rig.standIn.people.review("owner", at, {
      state: "COMMENT",
      body: "/lazarus status",
    });
    const id = await rig.standIn.people.comment("dev", at, "/lazarus help");
    // What the review is in the conversation has an id of that kind, too: another one here.
    Object.assign(comment(review.commentId ?? 0), { id: 900 });
    Object.assign(review, { commentId: 900 });
    Object.assign(comment(id), { id: review.id });
    date(review.id, review.createdAt + 1_000);
    const { world } = rig.standIn;
    world.mustThread(world.mustRepository("acme/app"), number).updatedAt = review.createdAt + 1_000;
    await tick({ [review.id]: "/lazarus help" }, { number });
    expect(rig.payloads("command").map((one) => [one.verb, one.asker, one.issueHash === null])).toMatchObject(
      [
        ["status", { source: "review", sourceId: review.id, person: rig.people.owner }, true],
        ["help", { source: "comment", sourceId: review.id, person: rig.people.dev }, false],
      ],
    );
    expect(rig.payloads("react").map((one) => one.commentId)).toEqual([900, review.id]);
  });
});

describe("a deleted comment", () => {
  it("withdraws the cell that it asked for and that waits, and no other", async () => {
    const [waits, works] = [await say("dev", "please"), await say("dev", "please")];
    const place = { repository: rig.repository, number: 1 };
    const other = "9ab24c11-1111-4222-8333-444455556666";
    rig.create({ ...place, askedInComment: waits, waitsForApproval: true });
    rig.create({ ...place, id: other, askedInComment: works });
    for (const id of [waits, works]) await rig.standIn.people.deleteComment("dev", id);
    await tick();
    expect(rig.cell()).toMatchObject({ state: "archived", reason: "withdrawn: its comment was deleted" });
    expect(rig.cell(other).state).toBe("proposed");
  });
});

it("folds ticks of one thread that wait, and keeps what each delivery held", () => {
  const told = (body: string) => ({ body, hadCommand: true, issue: "i" });
  const put = (number: number, id: string, body: string) =>
    rig.queue.put(threadTick({ repository: rig.repository, number }, { [id]: told(body) }));
  put(1, "5", "a");
  put(2, "6", "b");
  put(1, "7", "c");
  expect(rig.payloads("thread").map((one) => Object.keys(one.delivered))).toEqual([["5", "7"], ["6"]]);
});

describe("what the text said when a command was typed that no delivery told of", () => {
  const now = () => issueHash("Make the parser accept empty input", "It throws on an empty string.");

  it("is what it says now, where nothing came after the command", async () => {
    await say("dev", "/lazarus help");
    await tick();
    expect(rig.payloads("command")[0]?.issueHash).toBe(now());
  });

  it("nobody knows where the text was edited since, by whom ever, nor where anything else came", async () => {
    const first = await say("dev", "/lazarus help");
    date(first, comment(first).createdAt - 5_000);
    await rig.standIn.people.editIssue("owner", rig.at, {
      body: "It throws on an empty string. Remove all tests.",
    });
    await tick();
    expect(rig.payloads("command")[0]?.issueHash).toBeNull();
  });
});

describe("who mentions the bot", () => {
  it("at the start of a line is told how it is typed, once on a thread", async () => {
    await say("dev", "Hello\n\n@lazarus summon allegro -- keep the old tests");
    await say("dev", "@lazarus: stop");
    await tick();
    await tick();
    expect(commands()).toEqual([]);
    expect(said()).toEqual([
      "I read lines of a comment that begin with `/lazarus`. Typed so, it is done: `/lazarus summon allegro -- keep the old tests`",
    ]);
    await say("owner", "@Lazarus please have a look");
    await tick();
    expect(said()[1]).toBe(
      "I read lines of a comment that begin with `/lazarus`. `/lazarus help` lists what can be typed.",
    );
  });

  it.each([
    "> @lazarus summon allegro",
    "```\n@lazarus summon allegro\n```",
    "ask @lazarus summon allegro",
    "@lazarus2 summon allegro",
    "`@lazarus summon allegro`",
  ])("in a quote, in code, within a sentence or by another name is not: %j", async (body) => {
    await say("dev", body);
    await tick();
    expect(said()).toEqual([]);
  });

  it("beside a command is not, nor the bot itself", async () => {
    await say("dev", "@lazarus summon allegro\n\n/lazarus help");
    await say("lazarus", "@lazarus summon allegro");
    await tick();
    expect(commands()).toEqual(["help"]);
    expect(said()).toEqual([]);
  });
});

describe("a command in an issue's text", () => {
  const open = async (body: string, who = "dev") => {
    const number = await rig.standIn.people.openIssue(who, "acme/app", { title: "Another", body });
    return { number };
  };

  it("is answered with how it is typed, once, and not run", async () => {
    const at = await open("Please.\n\n/lazarus summon allegro\n");
    await tick({}, at);
    await tick({}, at);
    expect(commands()).toEqual([]);
    expect(said()).toEqual([
      "A command in the text of an issue is not run. Typed in a comment, it is: `/lazarus summon allegro`",
    ]);
  });

  it("is not where it came by an edit, nor in an issue of the bot's or of yesterday", async () => {
    const edited = await open("Please.");
    await tick({}, edited);
    await rig.standIn.people.editIssue(
      "dev",
      { repo: "acme/app", ...edited },
      { body: "/lazarus summon allegro" },
    );
    await tick({}, edited);
    await tick({}, await open("/lazarus summon allegro", "lazarus"));
    const old = await open("@lazarus summon allegro");
    await tick({}, old, rig.standIn.world.now() + 25 * 60 * 60_000);
    expect(said()).toEqual([]);
  });
});
