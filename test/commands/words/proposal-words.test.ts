import { afterEach, beforeEach, expect, it } from "vitest";
import type { Mistake, Wish } from "../../../src/cells/registry/proposals.ts";
import { renderCard } from "../../../src/commands/words/card.ts";
import { mistakeOf, mistakes, proposalText } from "../../../src/commands/words/proposal-words.ts";
import { md } from "../../../src/gitea/markdown.ts";
import { type ControlRig, createControl, ID, newCell, started } from "../../fakes/control-rig.ts";
import { expectGolden, sections } from "../../fakes/golden.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl({ config: { directors: ["owner", "alice"] } });
});
afterEach(() => rig.remove());

const agents = ["allegro", "ezra", "kimi"];
const filed = {
  ...{ repository: { id: 7, fullName: "acme/app" }, number: 262, cellId: ID },
  author: { id: 5, login: "reader" },
};
const WISH: Wish = { ttlMs: 4 * 60 * 60_000, checks: ["lint", "test"], untouched: ["docs/**", "*.lock"] };

function plan(wish: Wish = WISH): void {
  const cell = newCell(rig.clock.now(), {
    ...{ waitsForApproval: true, approval: "it was proposed by reader", askedInComment: null, asked: null },
    requester: filed.author,
  });
  const looked = { kind: "planned", readSha256: "a", cell, agents: ["allegro", "ezra"], wish } as const;
  rig.deps.proposing.take(filed, looked);
}
function fault(...found: Mistake[]): void {
  rig.deps.proposing.take(filed, { kind: "faulty", readSha256: "b", mistakes: found });
}
const text = () => {
  const proposal = rig.registry.proposals.of(7, 262);
  return proposal === null ? "" : proposalText(proposal, 3).text;
};

it("names every mistake in one comment", () => {
  fault(
    ...Object.entries({
      Agents: mistakes.unknownAgent("alegro", agents, "allegro"),
      "Time to live": mistakes.badTtl("10 years"),
      "Acceptance criteria": mistakes.noCriteria(),
    }).map(([field, said]) => mistakeOf(field, said)),
  );
  expectGolden("proposal-cannot-be-planned", text());
});

it("says each mistake in a sentence that says what to do", () => {
  const all = {
    missing: mistakes.missing("Agents"),
    double: mistakes.double("Agents"),
    misplaced: mistakes.misplaced("Agents"),
    fence: mistakes.fence(),
    noForm: mistakes.noForm(),
    noObjective: mistakes.noObjective(),
    tooLong: mistakes.tooLong(),
    noAgent: mistakes.noAgent(agents),
    "noAgent, none": mistakes.noAgent([]),
    emptyAgent: mistakes.emptyAgent("allegro+"),
    agentTwice: mistakes.agentTwice("allegro"),
    tooManyAgents: mistakes.tooManyAgents(6, 5),
    agentUnavailable: mistakes.agentUnavailable("kimi", "its backend is not there"),
    otherRepository: mistakes.otherRepository("acme/web"),
    otherThread: mistakes.otherThread("#12"),
    noTarget: mistakes.noTarget("everything"),
    noBranch: mistakes.noBranch("main2", "acme/app"),
    unknownCheck: mistakes.unknownCheck("e2e", ["lint", "test"], null),
    "unknownCheck, none": mistakes.unknownCheck("e2e", [], null),
    tooManyChecks: mistakes.tooManyChecks(20),
    badPath: mistakes.badPath("../x"),
    allPaths: mistakes.allPaths("**"),
    tooManyPaths: mistakes.tooManyPaths(50),
    unfit: mistakes.unfit(md`acme/app is archived: nothing can be pushed to it.`),
  };
  for (const said of Object.values(all)) expect(said.text).toMatch(/\.$/);
  expectGolden(
    "proposal-mistakes",
    sections(Object.fromEntries(Object.entries(all).map(([k, v]) => [k, v.text]))),
  );
});

it("shows the plan as the card, with all that a director approves", () => {
  plan();
  rig.deps.proposing.note(filed, { comments: 3 });
  expectGolden("card-shows-a-plan", renderCard(rig.cell(), rig.deps).text);
});

it("shows what is in the way on the card of what was planned before", () => {
  plan();
  fault(mistakeOf("Agents", mistakes.noAgent(agents)));
  expectGolden("card-cannot-be-planned", renderCard(rig.cell(), rig.deps).text);
});

it("says on the card that the issue was edited since", () => {
  plan({ ...WISH, untouched: [] });
  rig.deps.proposing.approve(
    ID,
    { id: 1, login: "owner" },
    { sha256: rig.cell().briefSha256, why: "approved" },
  );
  rig.report("run-started", started(ID, 1, rig.clock.now()));
  rig.deps.proposing.note(filed, { isEdited: true });
  expect(renderCard(rig.cell(), rig.deps).text).toContain(
    "The issue was edited since (14:02 UTC): allegro works from `9f86d081`; `/lazarus tell 4f1c0b7e …` brings the change to it.",
  );
});

it("says why it waits, and that it was withdrawn", () => {
  for (let n = 0; n < 3; n++) {
    const cellId = `${n}f1c0b7e-1111-4222-8333-444455556666`;
    const cell = newCell(rig.clock.now(), { id: cellId, waitsForApproval: true, branch: `lazarus/${n}` });
    const looked = { kind: "planned", readSha256: "a", cell, agents: ["allegro"], wish: WISH } as const;
    rig.deps.proposing.take({ ...filed, number: 300 + n, cellId }, looked);
  }
  plan();
  const waits = text();
  rig.deps.proposing.close(filed, { who: "reader", why: "closed" });
  expectGolden("proposal-waits", sections({ waits, withdrawn: text() }));
});
