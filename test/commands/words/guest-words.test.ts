import { expect, it } from "vitest";
import { guestReplies } from "../../../src/commands/words/guest-words.ts";
import { newCell } from "../../fakes/control-rig.ts";
import { expectGolden, sections } from "../../fakes/golden.ts";

it("answers each invitation in one calm sentence", () => {
  const cell = { ...newCell(0), state: "archived", closing: null } as never;
  const pages = {
    notForGuests: guestReplies.notForGuests(cell, "close --merge"),
    whom: guestReplies.whom(),
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
