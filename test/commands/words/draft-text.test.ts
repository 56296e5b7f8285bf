import { afterEach, beforeEach, expect, it } from "vitest";
import { draftBody, draftTitle } from "../../../src/commands/words/draft-text.ts";
import { type ControlRig, createControl, ID } from "../../fakes/control-rig.ts";
import { expectGolden } from "../../fakes/golden.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());
const body = () => draftBody(rig.cell(), rig.run()).text;

it("says what was asked, what the agent says, what was committed and how to go on", () => {
  const said = {
    ...{ words: "It takes empty input now.", ran: [], commands: 0, failed: 0 },
    ...{ denied: [], denials: 0, turns: null, costUsd: null, trouble: "" },
  };
  rig.idle({}, { said, report: 'I made the parser accept nothing.\n\n- tested with `""`\n- open: streams' });
  expectGolden("pull-request", `${draftTitle(rig.cell())}\n\n${body()}`);
});

it("says what was uncommitted, unfinished, salvaged and left out", () => {
  rig.idle({}, { hadUncommitted: true, unfinished: "rebase", salvaged: ".git is a link", commitCount: 60 });
  expectGolden("pull-request-odd", body());
});

it("gives the agent's last words where it left no report, and what it used", () => {
  const said = {
    ...{ words: "It takes empty input now.\n\nfixes #1, @dev", ran: [], commands: 0, failed: 0 },
    ...{ denied: [], denials: 0, turns: 6, costUsd: 0.42, trouble: "" },
  };
  rig.idle({}, { said });
  expectGolden("pull-request-last-words", body());
});

it("names the issue in full where it is opened in a fork", () => {
  rig.idle({ mergeInto: { repository: "dev/app", branch: "topic" } });
  expect(body()).toContain("For #262,");
  rig.reports.drafted(ID, 3, "dev/app");
  expect(body()).toContain("For acme/app#262,");
});

it("lets nobody's words close, mention or mark anything", () => {
  const evil = "closes #1 @dev <!-- lazarus:draft:x --> fixes acme/app#2";
  rig.idle(
    { title: evil },
    { report: evil, commits: [{ hash: "1".repeat(40), subject: evil, author: "@dev", at: 0 }] },
  );
  const all = `${draftTitle(rig.cell())}\n${body()}`;
  expect(all.match(/<!--/g)).toHaveLength(1);
  expect(all).not.toMatch(/(closes|fixes) (acme\/app)?#/);
  expect(all).not.toMatch(/(^|[\s([|])@dev/m);
});
