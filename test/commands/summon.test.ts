import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NewCell } from "../../src/cells/registry/cell-row.ts";
import type { Target } from "../../src/commands/access/resolve-target.ts";
import { createCommandHandlers } from "../../src/commands/dispatch.ts";
import { planCell } from "../../src/commands/plan-cell.ts";
import { createDraftHandlers } from "../../src/commands/posting/post-draft.ts";
import { nameOf } from "../../src/commands/rights.ts";
import type { Issue, PullRequest, Repository } from "../../src/gitea/port.ts";
import { issueHash } from "../../src/hash.ts";
import { silentLog } from "../../src/log.ts";
import type { JobPayload } from "../../src/protocol/jobs.ts";
import { BASE, harvest, jobOf, origin, started, TIP } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig({ config: { limits: { cells: 1 } } });
});
afterEach(() => rig.stop());

type Payload = JobPayload<"command">;
let comments = 100;
const here = () => ({ repository: rig.repository, number: rig.at.number });
async function type(verb: string, more: Partial<Payload> = {}, by: "dev" | "owner" = "dev") {
  const asker = { ...origin(rig.people[by], here()).asker, sourceId: ++comments } as Payload["asker"];
  const seen = issueHash("Make the parser accept empty input", "It throws on an empty string.");
  const payload = { asker, verb, words: [], flags: {}, text: null, issueHash: seen, ...more };
  const { job, context } = jobOf("command", payload, { putAt: rig.clock.now() });
  const finish = await createCommandHandlers({ ...rig.deps, db: rig.db, log: silentLog }).command?.(
    job,
    context,
  );
  if (finish !== undefined) rig.db.transaction(finish);
}
const summon = async () => {
  await type("summon", { words: ["allegro"] });
  const [cell] = rig.registry.list();
  if (cell === undefined) throw new Error("no cell");
  return cell.id;
};
const reactions = () => rig.payloads("react").map((one) => one.reaction);
const said = () => rig.payloads("comment").map((one) => one.text);

describe("a summon's comment", () => {
  it("gets its rocket when the agent works, not before", async () => {
    const id = await summon();
    expect(reactions()).toEqual([]);
    rig.report("run-started", started(id, 1, rig.clock.now()));
    expect(reactions()).toEqual(["rocket"]);
  });

  it("gets none where the cell could not be made, and hears why", async () => {
    const id = await summon();
    rig.report("run-refused", {
      cellId: id,
      run: 1,
      why: "the agent's home ./homes/allegro is missing",
    });
    expect(reactions()).toEqual(["confused"]);
    expect(said()).toEqual([
      `@dev: cell \`${id.slice(0, 8)}\` could not be made: the agent's home ./homes/allegro is missing. \`/lazarus summon allegro\` tries it anew.`,
    ]);
  });

  it("gets none where a director declined it, nor where it was stopped in line", async () => {
    rig.active({ ...here(), id: "9ab24c11-1111-4222-8333-444455556666" });
    rig.clearJobs();
    await summon();
    const id = rig.registry.list(["proposed"])[0]?.id ?? "";
    await type("decline", { words: [id, "out", "of", "scope"] }, "owner");
    expect(reactions()).toEqual(["confused", "rocket"]);
    expect(said().at(-1)).toBe(
      `@dev: cell \`${id.slice(0, 8)}\` did not begin: declined by owner: out of scope.`,
    );
    await type("summon", { words: ["ezra"] });
    const other = rig.registry.list(["proposed"])[0]?.id ?? "";
    const before = said().length;
    await type("stop", { words: [other] });
    expect(rig.payloads("react").filter((one) => one.reaction === "confused")).toHaveLength(2);
    expect(said()).toHaveLength(before);
  });
});

describe("a plan", () => {
  const plan = async (verb: string, words: string[], more: Partial<Payload> = {}) => {
    await type(verb, { words, flags: { "--plan": true }, ...more });
    return said().at(-1) ?? "";
  };

  it("says what would happen, and changes nothing", async () => {
    const writes = rig.standIn.count("POST", /./);
    const text = await plan("team", ["allegro+ezra"], { text: "with tests" });
    expect(text).toMatch(
      /^<!-- .* -->\n\*\*plan: allegro, then ezra\*\*\. Nothing was changed\.|^\*\*plan: allegro, then ezra\*\*\. Nothing was changed\./,
    );
    expect(text).toMatch(/\| target \| acme\/app\\#1, from main at [0-9a-f]{10}, to a draft into main \|/);
    expect(text).toContain("| allegro | executor · a command · process, not isolated |");
    expect(text).toContain(
      "| ezra | executor, goes on from allegro's hand-over · a command · process, not isolated |",
    );
    expect(text).toContain("| starts | as soon as there is a place |");
    expect(text).toContain("with tests");
    expect(rig.registry.list()).toEqual([]);
    expect(rig.waiting()).toEqual(["react", "comment"]);
    expect(rig.standIn.count("POST", /./)).toBe(writes);
  });

  it("opens no issue for a repository as the target", async () => {
    const before = rig.standIn.count("POST", /\/issues/);
    expect(await plan("summon", ["allegro", "acme/app"])).toContain("on an issue of its own");
    expect(rig.standIn.count("POST", /\/issues/)).toBe(before);
  });

  it("says that a director's word would be asked for, and why", async () => {
    expect(await plan("summon", ["allegro"], { issueHash: "other" })).toContain(
      "after a director's word: the text of the issue was changed after the command was typed",
    );
  });
});

describe("a summon where a cell lives", () => {
  it("says so, and goes on", async () => {
    rig.idle({ ...here(), agent: "ezra" });
    rig.clearJobs();
    await type("summon", { words: ["allegro"] });
    expect(rig.registry.list()).toHaveLength(2);
    expect(said()).toEqual([
      "There is a cell here already: `4f1c0b7e`, ezra, idle. `/lazarus tell 4f1c0b7e your words` lets it go on with them.\nThe new one works beside it.",
    ]);
  });
});

describe("a close of what is held back", () => {
  const held = { forbidden: ["commit 1f0a9c2b3d shows a secret that Lazarus keeps"] };

  it("says once why, and names the way without publishing", async () => {
    rig.idle({ ...here() }, held);
    rig.clearJobs();
    await type("close", {}, "owner");
    expect(reactions()).toEqual(["confused"]);
    expect(said()).toEqual([
      expect.stringContaining("`/lazarus close 4f1c0b7e --discard` closes it without"),
    ]);
    expect(said()[0]?.match(/shows a secret/g)).toHaveLength(1);
    await type("close", { flags: { "--discard": true } }, "owner");
    expect(rig.cell().state).toBe("closing");
  });

  it("is told to whoever closed it while it ran, once", async () => {
    rig.active({ ...here() });
    await type("close", {}, "owner");
    rig.clearJobs();
    rig.report("run-ended", {
      ...{ cellId: rig.cell().id, run: 1, began: true, endedAt: rig.clock.now(), code: 0, signal: null },
      ...{ stopped: "closed by owner", leftovers: [], refusedHosts: [] },
    });
    rig.report("collected", { cellId: rig.cell().id, run: 1, harvest: harvest(held) });
    expect(rig.cell()).toMatchObject({
      state: "idle",
      reason: "it was not closed, since what it made is held back",
    });
    expect(said()).toEqual([expect.stringMatching(/^@owner: Cell `4f1c0b7e` was not closed: .*--discard/s)]);
  });
});

describe("a pull request from a fork", () => {
  const PULL: PullRequest = {
    ...{ number: 1, title: "t", body: "b", author: { id: 1, login: "x" }, htmlUrl: "" },
    ...{ isOpen: true, isMerged: false, isDraft: false, base: { ref: "release", commit: BASE } },
    head: { ref: "main", commit: TIP, repositoryId: 99, fullName: "dev/app" },
  };

  const planned = async (pull: PullRequest) => {
    const name = nameOf(rig.repository);
    const [repository, issue] = await Promise.all([
      rig.deps.forge.repository(name),
      rig.deps.forge.issue(name, 1),
    ]);
    const target: Target = {
      ...{ name, repository: repository as Repository, pullRequest: pull },
      issue: { ...(issue as Issue), isPullRequest: true },
    };
    const [agent] = rig.config.agents.values();
    if (agent === undefined) throw new Error("no agent");
    const wish = { agent, next: [], target, ttlMs: 60_000, base: null, words: null, isTold: false };
    const plan = await planCell(wish, { origin: origin(rig.people.dev, here()), deps: rig.deps });
    return "refusal" in plan ? plan.refusal : plan.cell;
  };
  const ofHere = (ref: string): PullRequest => ({
    ...PULL,
    head: { ref, commit: TIP, repositoryId: rig.repository.id, fullName: "acme/app" },
  });

  it("becomes a draft into what it is to be merged into itself, measured from there", async () => {
    expect(await planned(PULL)).toMatchObject({
      delivery: "draft",
      baseName: "dev:main",
      mergeInto: { repository: "acme/app", branch: "release" },
      fork: { fullName: "dev/app", ref: "refs/heads/release", commit: BASE },
    });
  });

  it("is none of this repository, whose branch it goes to, but never to the default or a protected one", async () => {
    await rig.standIn.people.commit("dev", "acme/app", { branch: "topic", files: { a: "a\n" } });
    await rig.standIn.people.commit("dev", "acme/app", { branch: "held", files: { a: "a\n" } });
    const { world } = rig.standIn;
    world.mustRepository("acme/app").protectedBranches.push("held");
    expect(await planned(ofHere("topic"))).toMatchObject({ delivery: "branch", branch: "topic", fork: null });
    for (const ref of ["main", "held"])
      expect(await planned(ofHere(ref))).toMatchObject({
        ...{ delivery: "draft", branch: expect.stringMatching(/^lazarus\//), fork: null },
        mergeInto: { repository: "acme/app", branch: ref },
      });
  });

  it("never asks for the fork's branch in this repository, also for a cell of before", async () => {
    const { people } = rig.standIn;
    // A branch of that name may be here as well, and is another one.
    for (const branch of ["lazarus/4f1c0b7e", "a-branch-of-the-fork", "theirs"])
      await people.commit("dev", "acme/app", { branch, files: { [branch]: "a\n" } });
    const number = await people.openPullRequest("dev", "acme/app", {
      ...{ title: "Theirs", body: "", head: "theirs", base: "main" },
    });
    const cell: Partial<NewCell> = {
      ...{ ...here(), number, isPullRequest: true, delivery: "draft" },
      fork: { fullName: "dev/app", ref: "refs/heads/main", commit: null },
      mergeInto: { repository: "dev/app", branch: "a-branch-of-the-fork" },
    };
    rig.idle(cell);
    const branch = "lazarus/4f1c0b7e";
    rig.report("pushed", { cellId: rig.cell().id, run: 1, tip: TIP, branch, divertedFrom: null });
    const { job, context } = jobOf("draft", { cellId: rig.cell().id });
    const finish = await createDraftHandlers(rig.deps).draft?.(job, context);
    if (finish !== undefined) rig.db.transaction(finish);
    expect(rig.cell()).toMatchObject({ pullRequestRepository: "acme/app" });
    const draft = await rig.deps.forge.pullRequest(nameOf(rig.repository), rig.cell().pullRequest ?? 0);
    expect(draft?.base.ref).toBe("main");
  });
});
