import { afterEach, beforeEach, expect, it } from "vitest";
import type { Cell, Run } from "../../../src/cells/cell.ts";
import { VERBS, verbNamed } from "../../../src/commands/index.ts";
import { createAnnouncer } from "../../../src/commands/posting/announce.ts";

const PROBLEMS = ["missing-value", "unexpected-value", "repeated-flag", "open-quote", "too-long"] as const;

import { problemReply } from "../../../src/commands/parsing/problem.ts";
import { restRefusal } from "../../../src/commands/words/budget-words.ts";
import { ordinal, replies } from "../../../src/commands/words/replies.ts";
import type { Sentence } from "../../../src/commands/words/sentence.ts";
import {
  type ControlRig,
  createControl,
  harvest,
  operator,
  setupEnded,
  setupStarted,
  TIP,
} from "../../fakes/control-rig.ts";
import { expectGolden, sections } from "../../fakes/golden.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const who = { login: "reader", permission: "read", fullName: "acme/app", people: ["dev", "owner"] };

it("says each refusal in one calm sentence", () => {
  const cell = rig.idle();
  const agents = ["allegro", "ezra", "kimi"];
  const place = { limit: "8 of 8 cells run", place: 3 };
  const all: Record<string, Sentence> = {
    unknownVerb: replies.unknownVerb("sumon", "summon"),
    "unknownVerb, nothing near": replies.unknownVerb("dance", null),
    unknownFlag: replies.unknownFlag("--tll", "--ttl"),
    tooMany: replies.tooMany(),
    editedBeforeRead: replies.editedBeforeRead(),
    tooLargeToRead: replies.tooLargeToRead(),
    mentioned: replies.mentioned("/lazarus summon allegro"),
    mentionedOnly: replies.mentionedOnly(),
    inIssueText: replies.inIssueText("/lazarus summon allegro -- keep the old tests"),
    usage: replies.usage("status [CELL]"),
    unknownAgent: replies.unknownAgent("alegro", agents, "allegro"),
    "unknownAgent, none": replies.unknownAgent("alegro", [], null),
    whichAgent: replies.whichAgent(agents),
    agentUnavailable: replies.agentUnavailable("kimi", "its backend is not in this version."),
    noSuchRepository: replies.noSuchRepository("acme/gone"),
    noSuchThread: replies.noSuchThread("acme/app#99"),
    notATarget: replies.notATarget("acme"),
    approvedPlan: replies.approvedPlan(cell, cell.briefSha256, " with 2 comments, without 1 that was edited"),
    yesIsForTerminals: replies.yesIsForTerminals(cell),
    onlyProposals: replies.onlyProposals(),
    otherHash: replies.otherHash(cell, "3fa9c1d2"),
    hashNeeded: replies.hashNeeded(cell),
    planTooYoung: replies.planTooYoung(cell),
    proposalChanged: replies.proposalChanged(cell, {
      ...{ at: Date.UTC(2026, 10, 21, 14, 12), author: "reader", sha256: "77ab01cd".repeat(8) },
    }),
    proposalFaulty: replies.proposalFaulty(cell),
    proposalGone: replies.proposalGone(cell),
    wouldLeak: replies.wouldLeak("acme/secret"),
    lacksPermission: replies.lacksPermission("close", { ...who, needs: "a director (admin rights)" }),
    summonRefused: replies.summonRefused("allegro", who),
    "summonRefused, nobody known": replies.summonRefused("allegro", { ...who, people: [] }),
    unknowable: replies.unknowable("the bot needs admin rights on acme/app to look up permissions"),
    botCannotPush: replies.botCannotPush("acme/app"),
    archived: replies.archived("acme/app"),
    mirror: replies.mirror("acme/app"),
    empty: replies.empty("acme/app"),
    noSuchBranch: replies.noSuchBranch("release/2", "acme/app"),
    headIsGone: replies.headIsGone("acme/app#7"),
    closedPullRequest: replies.closedPullRequest("acme/app#7"),
    badTtl: replies.badTtl("soon"),
    badExtension: replies.badExtension("soon"),
    extendsTooFar: replies.extendsTooFar(cell),
    cannotExtend: replies.cannotExtend({ ...cell, state: "archived" }),
    extended: replies.extended(cell, { isLonger: true, has: [] }),
    "extended, more": replies.extended(cell, { isLonger: false, has: ["5.02 of 10 USD"] }),
    badAmount: replies.badAmount("--cost", "much"),
    "badAmount, tokens": replies.badAmount("--tokens", "1.5"),
    noBudget: replies.noBudget(cell, "USD", "limits.cost"),
    restRefusal: restRefusal(cell, { kind: "cost", used: 5.02, most: 5 }),
    "restRefusal, tokens": restRefusal(cell, { kind: "tokens", used: 201_000, most: 200_000 }),
    "restRefusal, turns": restRefusal(cell, { kind: "turns", most: 20 }),
    baseOnPullRequest: replies.baseOnPullRequest(),
    summoned: replies.summoned(cell, null),
    "summoned, waits": replies.summoned(cell, place),
    "summoned, approval": replies.summoned({ ...cell, waitsForApproval: true }, null),
    summonedElsewhere: replies.summonedElsewhere(cell),
    besides: replies.besides([cell, { ...cell, id: "9ab24c11-x", agent: "ezra", state: "active" }]),
    noSuchCell: replies.noSuchCell("4f1c"),
    ambiguousCell: replies.ambiguousCell("4f1c", [cell.id, "4f1c9999-x"]),
    prefixTooShort: replies.prefixTooShort("4f1"),
    noCellHere: replies.noCellHere(),
    whichCell: replies.whichCell({ verb: "extend", words: "4h" }, [
      cell,
      { ...cell, id: "9ab24c11-x", agent: "ezra", state: "active" },
    ]),
    nameACell: replies.nameACell(),
    nothingRuns: replies.nothingRuns(cell),
    stopping: replies.stopping(cell),
    alreadyRuns: replies.alreadyRuns(cell),
    alreadyWaits: replies.alreadyWaits(cell),
    cannotRevive: replies.cannotRevive({ ...cell, state: "closing" }),
    bringingBack: replies.bringingBack(cell, null),
    "bringingBack, waits": replies.bringingBack(cell, place),
    startingAnew: replies.startingAnew({ ...cell, publishedTip: null }, null),
    "startingAnew, from what was pushed": replies.startingAnew(
      { ...cell, publishedTip: "a".repeat(40) },
      null,
    ),
    "startingAnew, waits": replies.startingAnew(cell, place),
    beingDestroyed: replies.beingDestroyed(cell),
    comesBack: replies.comesBack(cell),
    takesNoWords: replies.takesNoWords("stop"),
    told: replies.told(cell, "allegro", 1),
    "told, more": replies.told(cell, "allegro", 3),
    tellsNothing: replies.tellsNothing(cell),
    held: replies.held("the machine is being upgraded"),
    "held, without a reason": replies.held(""),
    notHeld: replies.notHeld(),
    resumed: replies.resumed(),
    notOperator: replies.notOperator("hold", "dev"),
    noItems: replies.noItems(cell),
    notMerged: replies.notMerged(cell, "dev asked for changes and did not say otherwise"),
    notATeam: replies.notATeam("allegro+"),
    namedTwice: replies.namedTwice("allegro"),
    tooManyAgents: replies.tooManyAgents(6, 5),
    tellsArchived: replies.tellsArchived(cell),
    tellsClosing: replies.tellsClosing(cell),
    tellsSecret: replies.tellsSecret(),
    tooManyMessages: replies.tooManyMessages(cell, 50),
    cannotBeTold: replies.cannotBeTold("kimi", "its backend is not in this version."),
    noSuchMessage: replies.noSuchMessage(cell, "9"),
    notWaitingMessage: replies.notWaitingMessage(cell, { id: 7, state: "given" }),
    notYourMessage: replies.notYourMessage("dev"),
    retracted: replies.retracted(cell, 7),
    tooManyWords: replies.tooManyWords(64 * 1024),
    neverMade: replies.neverMade(cell),
    reviving: replies.reviving(cell, null),
    "reviving, waits": replies.reviving(cell, place),
    cannotClose: replies.cannotClose({ ...cell, state: "archived" }),
    cannotPublish: replies.cannotPublish(
      cell,
      ["big.bin is 21.0 MB, larger than 20.0 MB"],
      "publish 4f1c0b7e",
    ),
    "cannotPublish, a secret": replies.cannotPublish(cell, ["commit 1f0a9c2b3d shows a secret"], null),
    closing: replies.closing(cell),
    publishing: replies.publishing(cell),
    nothingUnpublished: replies.nothingUnpublished(cell),
    nothingHeldBack: replies.nothingHeldBack(cell),
    neverPublished: replies.neverPublished(cell, ["commit 1f0a9c2b3d shows a secret that Lazarus keeps"]),
    needsAllowProtected: replies.needsAllowProtected(
      cell,
      [".gitea/workflows/ci.yml decides what runs next"],
      "publish 4f1c0b7e --allow-protected",
    ),
    needsAllowSecret: replies.needsAllowSecret(
      cell,
      ["commit 1f0a9c2b3d shows the value of NODE_ENV, which is a secret (env)"],
      "publish 4f1c0b7e --allow-secret NODE_ENV",
    ),
    noSecretToAllow: replies.noSecretToAllow(cell, "LAZARUS_FORGE_TOKEN", []),
    "noSecretToAllow, another": replies.noSecretToAllow(cell, "TOKEN", ["NODE_ENV"]),
    notArchived: replies.notArchived(cell),
    alreadyDestroyed: replies.alreadyDestroyed(cell),
    destroying: replies.destroying(cell),
    notWaiting: replies.notWaiting(cell),
    approved: replies.approved(cell),
    declined: replies.declined(cell),
    noLog: replies.noLog(cell),
    noSetup: replies.noSetup(cell),
    noCheck: replies.noCheck(cell, "e2e"),
    badTail: replies.badTail("many"),
    deadJob: replies.deadJob("summon", "reading repository acme/app: no answer in time"),
  };
  const functions = Object.keys(replies).filter((name) => name !== "withdrawn");
  const shown = new Set(Object.keys(all).map((name) => name.split(",")[0]));
  expect(functions.filter((name) => !shown.has(name))).toEqual([]);
  const problems = PROBLEMS.map((code) => [
    code,
    problemReply({ code, typed: "--ttl", hint: null, line: 1 } as Parameters<typeof problemReply>[0]).markdown
      .text,
  ]);
  const texts = Object.fromEntries(Object.entries(all).map(([name, one]) => [name, one.markdown.text]));
  expectGolden("replies", sections({ ...texts, ...Object.fromEntries(problems) }));
});

it("closes with a report that names who asked", () => {
  const announce = createAnnouncer(rig.deps);
  const cell = rig.idle();
  rig.clearJobs();
  announce({
    kind: "closed",
    cell: { ...cell, pullRequest: 271, publishedTip: TIP },
    by: "owner",
    person: "owner",
  });
  announce({
    kind: "closed",
    cell: { ...cell, id: "9ab24c11-x", requester: { id: null, login: "operator root" } },
    by: "lazarus",
    person: null,
  });
  const [published = "", not = ""] = rig.payloads("comment").map((one) => one.text);
  expectGolden("closing-report", sections({ published, "not published, asked by the operator": not }));
});

it("asks a person once, and says what for", async () => {
  const cell = rig.idle();
  const run = { ...rig.run(), code: 1, endedAt: (rig.run().startedAt ?? 0) + 2_000 };
  rig.clearJobs();
  const announce = createAnnouncer(rig.deps);
  const breaker = "2 automatic retries failed";
  const cases: Record<string, [Partial<Run>, Partial<Cell>?]> = {
    "a question": [
      { exitClass: "question" },
      { harvest: harvest({ question: "Which one, @owner?\n\nfixes #1" }) },
    ],
    "not logged in": [{ exitClass: "not-logged-in", exitSays: "Invalid API key · Please run /login" }],
    "no credit": [{ exitClass: "no-credit", exitSays: "Credit balance is too low" }],
    "cannot be run": [{ exitClass: "cannot-run", code: 127 }],
    "over its wall clock": [
      {
        ...{ exitClass: "over-limit", stopCause: "over-limit" },
        ...{ stopped: "over its wall clock of 2h", exitWhy: "over its wall clock of 2h" },
      },
    ],
    "over its own budget": [{ exitClass: "over-limit", exitWhy: "over its own budget" }],
    "crashed too often": [{ exitClass: "crashed", code: 3, exitWhy: "exit 3" }, { breaker }],
    "crashed with a last word": [
      { exitClass: "crashed", exitWhy: "exit 1", exitSays: "stream disconnected" },
      { breaker },
    ],
    "out of memory too often": [
      { exitClass: "machine", exitWhy: "the machine ran out of memory" },
      { breaker },
    ],
    "a quota that resets too late": [
      { exitClass: "quota", exitSays: "limit reached" },
      { breaker: "its quota resets only after the end of its TTL, at 2026-11-29 00:00 UTC" },
    ],
    "a setup that failed": [
      {
        stopped: "not set up: exit 1",
        startedAt: null,
        setup: {
          ...setupStarted(cell.id, 1, 0).setup,
          end: setupEnded(cell.id, 1, 12_000, { code: 1, tail: "no such package" }).end,
        },
      },
    ],
    "asked by the operator": [
      { exitClass: "cannot-run", code: 126, requester: { id: null, login: "operator root" } },
    ],
  };
  let n = 0;
  for (const [more, of] of Object.values(cases)) {
    announce({ kind: "needs-you", cell: { ...cell, ...of }, run: { ...run, ...more, n: ++n } });
    announce({ kind: "needs-you", cell: { ...cell, ...of }, run: { ...run, ...more, n } });
    // They are more than the bot writes unasked.
    rig.deps.goingOn.wakeCell(cell);
  }
  const texts = rig.payloads("comment").map((one) => one.text);
  expect(texts).toHaveLength(n);
  expectGolden(
    "needs-you",
    sections(Object.fromEntries(Object.keys(cases).map((name, at) => [name, texts[at] ?? ""]))),
  );
});

it("says what a director can do where a cell rests", () => {
  const cell = rig.idle();
  const run = { ...rig.run(), code: 0, exitClass: "done", endedAt: rig.run().startedAt } as const;
  const stopped = "over its budget of 5 USD for the cell";
  rig.clearJobs();
  const announce = createAnnouncer(rig.deps);
  const over = { ...run, exitClass: "over-limit", stopCause: "over-limit", stopped } as const;
  for (const _ of [1, 2]) {
    announce({ kind: "rests", cell, run: over, rest: { kind: "cost", used: 5.02, most: 5 } });
    announce({ kind: "rests", cell, run, rest: { kind: "tokens", used: 201_000, most: 200_000 } });
    announce({ kind: "rests", cell, run, rest: { kind: "turns", most: 20 } });
  }
  const [money = "", tokens = "", turns = "", ...more] = rig.payloads("comment").map((one) => one.text);
  expect(more).toEqual([]);
  expectGolden("rests", sections({ money, tokens, turns }));
});

it("helps with exactly what this version can do", async () => {
  const help = verbNamed("help");
  const ask = async (...words: string[]) => {
    const answer = await help?.run?.({ verb: "help", words, flags: {}, text: null }, operator(), rig.deps);
    return answer?.kind === "refused"
      ? answer.reply.markdown.text
      : ((answer?.kind === "done" ? answer.reply : null)?.markdown.text ?? "");
  };
  const pages: Record<string, string> = { help: await ask() };
  for (const { name } of VERBS) pages[`help ${name}`] = await ask(name);
  pages["help sumon"] = await ask("sumon");
  expectGolden("help", sections(pages));
  expect(Object.values(pages).join("")).not.toContain("not in this version");
});

it("counts as people do", () => {
  expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111, 112].map(ordinal).join(" ")).toBe(
    "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th 112th",
  );
});
