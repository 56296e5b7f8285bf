import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRunnerHandlers } from "../../../src/cells/runner-jobs.ts";
import { reachable } from "../../../src/commands/access/cells-here.ts";
import { confirm, locate, lookAtRepositories } from "../../../src/commands/access/confirm-repository.ts";
import { VERBS } from "../../../src/commands/index.ts";
import { LazarusError } from "../../../src/errors.ts";
import { silentLog } from "../../../src/log.ts";
import { readThread } from "../../../src/webhooks/read-thread.ts";
import { createSeenEntries } from "../../../src/webhooks/seen-entries.ts";
import { ended, harvest, jobOf, operator, origin } from "../../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

const OTHER = "5a1c0b7e-1111-4222-8333-444455556666";
/** An idle cell whose draft is #9 of acme/app, asked for there. */
function cellOf(): string {
  const { repository } = rig;
  const asked = { ...origin(rig.people.dev, { repository, number: 1 }).asker } as never;
  const { id } = rig.active({ repository, number: 1, asked });
  rig.report("run-ended", ended(id, 1, rig.clock.now()));
  rig.report("collected", { cellId: id, run: 1, harvest: harvest() });
  rig.registry.update(id, { pullRequest: 9, pullRequestRepository: "acme/app" });
  return id;
}
const names = (id: string) => {
  const cell = rig.cell(id);
  return {
    full: cell.repository.fullName,
    url: cell.issueUrl,
    into: cell.mergeInto.repository,
    pull: cell.pullRequestRepository,
    asked: cell.asked?.repository.fullName,
  };
};
const job = () => rig.payloads("publish").length;

describe("a repository with a new name that is served", () => {
  it("is taken over: cells, drafts, jobs, and the cards say so", async () => {
    const id = cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    expect(await confirm(rig.repository, rig.deps)).toEqual({ owner: "acme", name: "renamed" });
    expect(names(id)).toEqual({
      full: "acme/renamed",
      url: `${rig.standIn.url}/acme/renamed/issues/1`,
      into: "acme/renamed",
      pull: "acme/renamed",
      asked: "acme/renamed",
    });
    expect(job()).toBe(1);
    expect(JSON.stringify(rig.queue.list({ states: ["waiting"] }))).not.toContain("acme/app");
    const texts = rig.db.sql.prepare("SELECT payload FROM jobs WHERE state = 'waiting'").pluck().all();
    expect(texts.filter((text) => String(text).includes('"fullName":"acme/app"'))).toEqual([]);
    expect(rig.registry.history(id).at(-1)).toMatchObject({
      from: "idle",
      to: "idle",
      why: "acme/app is called acme/renamed now",
    });
    expect(rig.payloads("mark").at(-1)).toMatchObject({
      cellId: id,
      mission: { target: "acme/renamed#1", issue_url: `${rig.standIn.url}/acme/renamed/issues/1` },
    });
  });

  it("is taken over where it was given to another owner who is served", async () => {
    const id = cellOf();
    rig.standIn.people.transfer("acme/app", "dev");
    expect((await locate(rig.repository, rig.deps)).kind).toBe("here");
    expect(names(id)).toMatchObject({ full: "dev/app", pull: "dev/app", into: "dev/app" });
  });

  it("is found by its id where another one has its old name by now", async () => {
    const id = cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    await rig.standIn.people.createRepository("acme/app");
    expect((await locate(rig.repository, rig.deps)).kind).toBe("here");
    expect(names(id).full).toBe("acme/renamed");
  });

  it("keeps a cell of another repository that was asked for there in touch", async () => {
    const elsewhere = { id: 99, fullName: "acme/other" };
    const asked = { ...origin(rig.people.dev, { repository: rig.repository, number: 1 }).asker } as never;
    rig.active({
      id: OTHER,
      repository: elsewhere,
      asked,
      mergeInto: { repository: "acme/other", branch: "main" },
    });
    cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    await locate(rig.repository, rig.deps);
    expect(names(OTHER)).toMatchObject({ full: "acme/other", into: "acme/other", asked: "acme/renamed" });
  });

  it("is read under its new name when an old delivery comes", async () => {
    cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    const handled = createSeenEntries(rig.db, { clock: rig.clock, patterns: ["acme/*"] });
    handled.serve(["acme/*"], 0);
    const payload = { repository: rig.repository, number: 1, delivered: {} };
    const seen = await readThread(payload, { ...rig.deps, handled, log: silentLog });
    expect(seen).toMatchObject({ repository: { fullName: "acme/renamed" }, number: 1 });
  });

  it("is put right where a row came late with the old name, and a runner was led elsewhere by it", async () => {
    rig.standIn.people.rename("acme/app", "renamed");
    await locate(rig.repository, rig.deps);
    const id = cellOf();
    await locate({ ...rig.repository, fullName: "acme/renamed" }, rig.deps);
    rig.deps.renames.doubt(rig.repository.id);
    await locate(rig.repository, rig.deps);
    expect(names(id).full).toBe("acme/renamed");
    expect(rig.payloads("publish")).toHaveLength(1);
  });

  it("is looked for where a runner was led elsewhere, and the job is tried again", async () => {
    cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    const moved = new LazarusError("repository-moved", "fetching: it moved", { retryable: true });
    const handlers = createRunnerHandlers(new Map([["local", { do: () => Promise.reject(moved) }]]), {
      registry: rig.registry,
      queue: rig.queue,
      onMoved: async (repository) => {
        const located = await locate(repository, rig.deps);
        return located.kind === "here" ? null : located.why;
      },
    });
    const asked = rig.payloads("start", ["waiting", "done"])[0];
    if (asked === undefined) throw new Error("no start");
    const { job: one, context } = jobOf("start", asked);
    await expect(handlers.start?.(one, context)).rejects.toMatchObject({ retryable: true });
    expect(rig.cell().repository.fullName).toBe("acme/renamed");
    rig.standIn.people.deleteRepository("acme/renamed");
    await expect(handlers.start?.(one, context)).rejects.toMatchObject({ retryable: false });
  });
});

describe("a repository that is lost", () => {
  const lost = () => rig.cell().repositoryTrouble;
  const say = async (verb: string, flags: Record<string, boolean> = {}) => {
    const spec = VERBS.find((one) => one.name === verb);
    return spec?.run?.({ verb, words: [rig.cell().id], flags, text: null }, operator(), rig.deps);
  };

  it.each([
    [
      "was given to somebody who is not served",
      () => rig.standIn.people.transfer("acme/app", "stranger"),
      "acme/app is called stranger/app now, which is not served (forge.repositories)",
    ],
    [
      "is deleted",
      () => rig.standIn.people.deleteRepository("acme/app"),
      "acme/app: there is no repository of that name that I may read",
    ],
    [
      "is deleted and made again: another id is another repository",
      async () => {
        rig.standIn.people.deleteRepository("acme/app");
        await rig.standIn.people.createRepository("acme/app");
      },
      "acme/app: the repository of that name is another one now",
    ],
  ])("%s: its cells say so, and can be closed with their seal", async (_what, happens, words) => {
    cellOf();
    await happens();
    await expect(confirm(rig.repository, rig.deps)).rejects.toMatchObject({ code: "forge-refused" });
    expect(lost()).toBe(words);
    expect(rig.cell().reason).toContain(words);
    const refused = await say("close");
    expect(refused).toMatchObject({ kind: "refused" });
    expect(JSON.stringify(refused)).toContain("--discard");
    const closes = await say("close", { "--discard": true });
    if (closes?.kind === "done") rig.db.transaction(() => closes.effects?.());
    expect(rig.waiting()).toContain("seal");
  });

  it("goes on by itself where it is back", async () => {
    const id = cellOf();
    rig.standIn.people.transfer("acme/app", "stranger");
    await lookAtRepositories({ ...rig.deps, log: silentLog });
    expect(lost()).toContain("not served");
    rig.clearJobs();
    rig.standIn.people.transfer("stranger/app", "dev");
    await lookAtRepositories({ ...rig.deps, log: silentLog });
    expect(lost()).toBeNull();
    expect(names(id).full).toBe("dev/app");
    expect(rig.waiting()).toEqual(expect.arrayContaining(["card", "publish"]));
  });

  it("lends its cells to nobody who takes its name", async () => {
    const id = cellOf();
    rig.standIn.people.rename("acme/app", "renamed");
    const taken = await rig.standIn.people.createRepository("acme/app");
    const there = { repository: { id: taken.id, fullName: "acme/app" }, number: 9 };
    expect(reachable(id, origin(rig.people.stranger, there), rig.deps)).toEqual([]);
  });
});
