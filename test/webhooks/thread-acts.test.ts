import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NewCell } from "../../src/cells/registry/cell-row.ts";
import { createReplyHandlers } from "../../src/commands/posting/post.ts";
import type { Job } from "../../src/queue/queue.ts";
import { parseText } from "../../src/webhooks/read-text.ts";
import { createSeenEntries } from "../../src/webhooks/seen-entries.ts";
import { type Act, act, readActs } from "../../src/webhooks/thread-acts.ts";
import { ended, harvest, ID, started, TIP } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
/** The draft of the cell. */
let pull: { repo: string; number: number };
beforeEach(async () => {
  rig = await createForgeRig();
  rig.clock.jump(rig.standIn.world.now() - rig.clock.now());
  await rig.standIn.people.commit("lazarus", "acme/app", { branch: "topic", files: { "a.txt": "a" } });
  const wanted = { title: "WIP: t", body: "", head: "topic", base: "main" };
  pull = {
    repo: "acme/app",
    number: await rig.standIn.people.openPullRequest("lazarus", "acme/app", wanted),
  };
});
afterEach(() => rig.stop());

const APP = { owner: "acme", name: "app" };

function deps() {
  return {
    ...rig.deps,
    handled: createSeenEntries(rig.db, { clock: rig.clock, patterns: ["acme/*"] }),
    log: { info() {}, warn() {}, error() {}, debug() {} },
    parse: parseText,
    forgeNow: () => rig.standIn.world.now(),
  };
}
/** Looks at a thread twice, as two ticks do; answers what was found first. */
async function look(number = pull.number): Promise<Act[]> {
  const read = async () => {
    const issue = await rig.deps.forge.issue(APP, number);
    if (issue === null) throw new Error("no such thread");
    const reviews = issue.isPullRequest ? await rig.deps.forge.reviews(APP, number) : [];
    const botId = rig.people.bot.id;
    return readActs({ repository: rig.repository, number, issue, reviews, botId, since: 0 }, deps());
  };
  const acts = await read();
  rig.db.transaction(() => act(acts, { repository: rig.repository, number }, deps()));
  const again = await read();
  rig.db.transaction(() => act(again, { repository: rig.repository, number }, deps()));
  return acts;
}
const place = (more: Partial<NewCell> = {}): Partial<NewCell> => ({
  repository: rig.repository,
  number: 1,
  askedInComment: 0,
  ...more,
});
/** A cell whose work is published as the draft. */
function published(more: Partial<NewCell> = {}): void {
  const { id } = rig.idle(place(more));
  rig.report("pushed", { cellId: id, run: 1, branch: "topic", tip: TIP, divertedFrom: null });
  rig.reports.drafted(id, pull.number, "acme/app");
  rig.clearJobs();
}
const sealed = (cellId = ID) => rig.report("sealed", { cellId, bytes: 1 });
const kinds = () => rig.waiting();

describe("a draft", () => {
  it("that is merged closes its cell once, as merged, whoever did it, and nothing is pushed", async () => {
    published();
    await rig.standIn.people.merge("dev", pull);
    await look();
    expect(rig.cell()).toMatchObject({ state: "closing", closing: { by: "dev", outcome: "merged" } });
    expect(kinds().filter((kind) => kind === "seal")).toHaveLength(1);
    expect(kinds()).not.toContain("publish");
    sealed();
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "merged" });
    expect(rig.payloads("comment")[0]?.text).toMatch(
      new RegExp(
        `is closed by dev: merged as \\[#${pull.number}\\]\\(\\S+/pulls/${pull.number}/\\), archived`,
      ),
    );
    expect(rig.registry.history(ID).map((row) => row.why)).toContain(`#${pull.number} was merged by dev`);
  });

  it("that is closed closes its cell as rejected", async () => {
    published();
    await rig.standIn.people.closeIssue("dev", pull);
    await look();
    sealed();
    expect(rig.cell()).toMatchObject({ state: "archived", outcome: "rejected" });
    expect(rig.payloads("comment")[0]?.text).toMatch(
      new RegExp(`\\[#${pull.number}\\]\\(\\S+/pulls/${pull.number}/\\) was not merged, archived`),
    );
  });

  it("that lost its branch, is closed by who took it away", async () => {
    published();
    await rig.standIn.people.deleteBranch("owner", "acme/app", "topic");
    await look();
    expect(rig.cell()).toMatchObject({ closing: { by: "owner", outcome: "rejected" } });
  });

  it("that is merged while its agent works ends the run; what it left is sealed and never pushed", async () => {
    published();
    rig.lifecycle.rerun(rig.cell(), "allegro", rig.people.dev);
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    rig.clearJobs();
    await rig.standIn.people.merge("owner", pull);
    await look();
    expect(rig.payloads("stop")).toHaveLength(1);
    rig.clearJobs();
    rig.report("run-ended", ended(ID, 2, rig.clock.now(), { stopped: "closed by owner" }));
    expect(kinds()).toContain("collect");
    const tip = "2".repeat(40);
    rig.report("collected", {
      cellId: ID,
      run: 2,
      harvest: harvest({ tip, heldBack: ["too large"] }),
    });
    expect(kinds()).toContain("seal");
    expect(kinds()).not.toContain("publish");
    sealed();
    expect(rig.payloads("comment").at(-1)?.text).toContain(
      "what was made after its last push is only in the seal",
    );
  });

  it("that is merged while a push waits takes it back", async () => {
    published();
    rig.lifecycle.rerun(rig.cell(), "allegro", rig.people.dev);
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    rig.report("run-ended", ended(ID, 2, rig.clock.now()));
    const tip = "2".repeat(40);
    rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip }) });
    const [waiting] = rig.payloads("publish");
    await rig.standIn.people.merge("owner", pull);
    await look();
    expect(kinds()).not.toContain("publish");
    // One that was being confirmed just then comes too late as well.
    if (waiting !== undefined) rig.steps.push(waiting);
    expect(kinds()).not.toContain("push");
  });

  it.each([
    ["the bot itself", async () => void (await rig.standIn.people.closeIssue("lazarus", pull))],
    [
      "somebody who took it back",
      async () => {
        await rig.standIn.people.closeIssue("owner", pull);
        await rig.standIn.people.reopenIssue("owner", pull);
      },
    ],
  ])("that is closed by %s closes nothing", async (_who, close) => {
    published();
    await close();
    expect(await look()).toEqual([]);
    expect(rig.cell().state).toBe("idle");
  });

  it("of a cell that was brought back since closes it no second time", async () => {
    published();
    await rig.standIn.people.merge("owner", pull);
    rig.lifecycle.close(
      rig.cell(),
      { by: "owner", discard: false, thenDestroy: false, outcome: null, person: null },
      "closed by owner",
    );
    sealed();
    rig.clock.jump(5_000);
    rig.registry.move(ID, { from: "archived", to: "active", who: "owner", why: "revived" });
    await look();
    expect(rig.cell().state).toBe("active");
  });

  it("of the same number in another repository is none of ours", async () => {
    published();
    expect(rig.registry.ofPullRequest({ id: 999, fullName: "acme/app" }, pull.number)).toEqual([]);
    expect(rig.registry.ofPullRequest({ ...rig.repository, fullName: "ACME/App" }, pull.number)).toHaveLength(
      1,
    );
  });
});

describe("an approval of the draft", () => {
  const approve = (who: string, body = "") =>
    rig.standIn.people.review(who, pull, { state: "APPROVED", body });

  it("by a director closes the cell and ends the draft's being one", async () => {
    published();
    await approve("owner", "good");
    await look();
    expect(rig.cell()).toMatchObject({ state: "closing", closing: { by: "owner", outcome: null } });
    expect(rig.payloads("draft")).toHaveLength(1);
  });

  it("is not one of the next draft, which the cell opens after it was revived", async () => {
    const update = async () => {
      const job = { payload: { cellId: ID }, notes: {} } as Job<"draft">;
      const context = { signal: new AbortController().signal, note: () => {} };
      const finish = await createReplyHandlers(rig.deps).draft?.(job, context);
      rig.db.transaction(() => finish?.());
    };
    const title = async (number: number) => (await rig.deps.forge.pullRequest(APP, number))?.title;
    published();
    await approve("owner", "good");
    await look();
    await update();
    expect(await title(pull.number)).toBe("t");
    await rig.standIn.people.merge("dev", pull);
    sealed();
    rig.lifecycle.rerun(rig.cell(), "allegro", { id: rig.people.owner.id, login: "owner" });
    rig.report("restored", { cellId: ID, run: 2 });
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    await rig.standIn.people.commit("lazarus", "acme/app", { branch: "topic", files: { "b.txt": "b" } });
    await update();
    const next = rig.cell().pullRequest ?? 0;
    expect(next).toBeGreaterThan(pull.number);
    await update();
    expect(await title(next)).toMatch(/^WIP: /);
  });

  it.each(["dev", "reader"])("by %s, who is none, closes nothing", async (who) => {
    published();
    await approve(who);
    await look();
    expect(rig.cell().state).toBe("idle");
  });

  it("of what was changed since closes nothing, nor while somebody else asks for changes", async () => {
    published();
    await approve("owner", "good");
    await rig.standIn.people.commit("lazarus", "acme/app", { branch: "topic", files: { "b.txt": "b" } });
    await look();
    expect(rig.cell().state).toBe("idle");
    await rig.standIn.people.review("dev", pull, { state: "REQUEST_CHANGES", body: "not yet" });
    await approve("owner", "good now");
    await look();
    expect(rig.cell().state).toBe("idle");
    await approve("dev", "fine");
    await approve("owner", "good now");
    await look();
    expect(rig.cell()).toMatchObject({ state: "closing", closing: { by: "owner" } });
  });

  it("of an older commit closes nothing either before the forge has marked it", async () => {
    published();
    const review = await approve("owner", "good");
    await rig.standIn.people.commit("lazarus", "acme/app", { branch: "topic", files: { "b.txt": "b" } });
    review.isStale = false;
    await look();
    expect(rig.cell().state).toBe("idle");
  });

  it("closes the cell at what was approved: nothing that came since is pushed", async () => {
    published();
    rig.lifecycle.rerun(rig.cell(), "allegro", rig.people.dev);
    rig.report("run-started", started(ID, 2, rig.clock.now()));
    rig.report("run-ended", ended(ID, 2, rig.clock.now()));
    rig.report("collected", { cellId: ID, run: 2, harvest: harvest({ tip: "2".repeat(40) }) });
    expect(kinds()).toContain("publish");
    await approve("owner", "good");
    await look();
    expect(rig.cell()).toMatchObject({ state: "closing", closing: { isApproved: true } });
    expect(kinds()).not.toContain("publish");
    expect(kinds()).toContain("seal");
  });

  it("that says a command is that command alone", async () => {
    published();
    await approve("owner", "/lazarus tell go on");
    await look();
    expect(rig.cell().state).toBe("idle");
  });

  it("that was read before closes nothing", async () => {
    published();
    const { id } = await approve("owner");
    deps().handled.mark(rig.repository.id, "review", id);
    await look();
    expect(rig.cell().state).toBe("idle");
  });
});

describe("a draft of an earlier version, which lies in a fork", () => {
  it.each([
    ["the fork's owner", "dev", "idle"],
    ["a director of the target", "owner", "closing"],
  ])("that %s closes there leaves the cell %s", async (_who, login, state) => {
    const { people } = rig.standIn;
    const fork = await people.createRepository("dev/app");
    people.addCollaborator("dev/app", "owner", "write");
    await people.commit("dev", "dev/app", { branch: "topic", files: { "a.txt": "a" } });
    const wanted = { title: "t", body: "", head: "topic", base: "main" };
    const number = await people.openPullRequest("dev", "dev/app", wanted);
    const { id } = rig.idle(place());
    rig.report("pushed", { cellId: id, run: 1, branch: "topic", tip: TIP, divertedFrom: null });
    rig.reports.drafted(id, number, "dev/app");
    await people.closeIssue(login, { repo: "dev/app", number });
    const there = { owner: "dev", name: "app" };
    const issue = await rig.deps.forge.issue(there, number);
    if (issue === null) throw new Error("no such thread");
    const repository = { id: fork.id, fullName: "dev/app" };
    const seen = { repository, number, issue, reviews: [], botId: rig.people.bot.id, since: 0 };
    const acts = await readActs(seen, deps());
    rig.db.transaction(() => act(acts, { repository, number }, deps()));
    expect(rig.cell().state).toBe(state);
  });
});

describe("a mission's issue", () => {
  it("that a director closes is a close of all its cells; another one's closing changes nothing", async () => {
    published();
    await rig.standIn.people.closeIssue("dev", rig.at);
    await look(1);
    expect(rig.cell().state).toBe("idle");
    await rig.standIn.people.reopenIssue("dev", rig.at);
    await rig.standIn.people.closeIssue("owner", rig.at);
    await look(1);
    expect(rig.cell()).toMatchObject({
      state: "closing",
      closing: { by: "owner", outcome: null, person: "owner" },
    });
  });

  it("that was closed before the cell was asked for closes nothing", async () => {
    await rig.standIn.people.closeIssue("owner", rig.at);
    const asked = await rig.standIn.people.comment("dev", rig.at, "/lazarus summon");
    published({ askedInComment: asked });
    await look(1);
    expect(rig.cell().state).toBe("idle");
  });

  it("is no reason to close a cell before it started", async () => {
    rig.create(place());
    await rig.standIn.people.closeIssue("owner", rig.at);
    await look(1);
    expect(rig.cell().state).toBe("proposed");
  });
});

it("costs no request where no cell is concerned", async () => {
  await rig.standIn.people.closeIssue("owner", rig.at);
  await look(1);
  expect(rig.standIn.count("GET", /timeline|permission/)).toBe(0);
});
