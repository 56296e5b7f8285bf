import { expect, it } from "vitest";
import { guestReplies, visitReport } from "../../../src/commands/words/guest-words.ts";
import { harvest, newCell, nothingLeft } from "../../fakes/control-rig.ts";
import { expectGolden, sections } from "../../fakes/golden.ts";

it("answers each invitation in one calm sentence", () => {
  const cell = { ...newCell(0), state: "archived", closing: null } as never;
  const pages = {
    notForGuests: guestReplies.notForGuests(cell, "close --merge"),
    whom: guestReplies.whom(),
    noSuchWord: guestReplies.noSuchWord("kimi"),
    directsNothing: guestReplies.directsNothing("kimi"),
    cannotBeRun: guestReplies.cannotBeRun("kimi", "its backend does not work here."),
    worksHere: guestReplies.worksHere(cell, "allegro"),
    isInLine: guestReplies.isInLine(cell, "kimi"),
    looksNow: guestReplies.looksNow(cell, "kimi"),
    looksNext: guestReplies.looksNext(cell, "kimi", true),
    "looksNext, at once": guestReplies.looksNext(cell, "kimi", false),
    worksNext: guestReplies.worksNext(cell, "kimi", true),
    "worksNext, at once": guestReplies.worksNext(cell, "kimi", false),
    observes: guestReplies.observes(cell, "kimi"),
    noTeam: guestReplies.noTeam("@acme/leads"),
    badLogin: guestReplies.badLogin("reader@example.org"),
    badRole: guestReplies.badRole("owner"),
    badFor: guestReplies.badFor("0s"),
    nothingToTime: guestReplies.nothingToTime(),
    cannotJoin: guestReplies.cannotJoin(cell),
    "cannotJoin, closing": guestReplies.cannotJoin({
      ...newCell(0),
      state: "closing",
      closing: null,
    } as never),
    noSuchUser: guestReplies.noSuchUser("nobody"),
    ownAccount: guestReplies.ownAccount(),
    yourself: guestReplies.yourself(cell),
    cannotRead: guestReplies.cannotRead("stranger", "acme/app"),
    noGuest: guestReplies.noGuest(cell, "reader"),
    invited: guestReplies.invited(cell, "reader", { role: "executor", until: null }),
    "invited, for some time": guestReplies.invited(cell, "reader", {
      role: "director",
      until: Date.UTC(2026, 11, 5),
    }),
    ended: guestReplies.ended(cell, "reader"),
  };
  expect(Object.values(pages).every((one) => one.text !== "")).toBe(true);
  expectGolden(
    "guests",
    sections(Object.fromEntries(Object.entries(pages).map(([name, one]) => [name, one.markdown.text]))),
  );
});

it("posts what an observer found, or that it found nothing", () => {
  const cell = { ...newCell(0), harvest: harvest(), state: "idle" } as never;
  const by = {
    requester: { id: 1, login: "owner" },
    stopped: null,
    exitClass: "nothing-changed",
    signal: null,
  };
  const run = { ...by, agent: "kimi", code: 0, startedAt: 0, endedAt: 2_000 } as never;
  const left = (more: object) => visitReport({ cell, run, harvest: nothingLeft(more) }).text;
  const pages = {
    report: left({
      report: "# Found\n\n- `src/parse.ts:12` is wrong, @dev: fixes #1\n<!-- lazarus:card:x -->",
    }),
    "report and question": left({ report: "All is well.", question: "May I see the logs?" }),
    nothing: left({}),
    "nothing, with a log": left({ logTail: "I could not read it" }),
    "not started": visitReport({
      cell,
      run: { ...by, agent: "kimi", stopped: "kimi cannot be started" } as never,
      harvest: null,
    }).text,
    long: `${left({ report: "x".repeat(30_000) }).length} characters`,
  };
  expectGolden("visits", sections(pages));
});
