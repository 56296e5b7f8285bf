import { mkdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { setHold } from "../../src/cells/hold.ts";
import { runJobs } from "../../src/cli/jobs.ts";
import { printDocument } from "../../src/cli/pit-report.ts";
import type { Answer } from "../../src/commands/command.ts";
import { VERBS, verbNamed } from "../../src/commands/index.ts";
import { digest } from "../../src/runner/events/digest.ts";
import { ended, harvest, ID, newCell, operator, started, TIP } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";
import { faultsOf } from "./json-shape.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

const said = digest(
  '{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"Done."}}\n',
  false,
);
/** A cell at the rig's own repository, so that people's rights on it can be asked for. */
const here = () => ({ repository: rig.repository, number: rig.at.number });

function idle(heldBack = ["a secret"]): void {
  rig.create(here());
  rig.report("run-started", started(ID, 1, rig.clock.now()));
  rig.report("run-ended", ended(ID, 1, rig.clock.now()));
  rig.report("collected", {
    cellId: ID,
    run: 1,
    harvest: harvest({ said, heldBack }),
  });
}

/** For each verb, how the cell is before it, and what is typed. */
const TYPED: Readonly<
  Record<string, { readonly before?: () => void; readonly words?: string[]; readonly text?: string }>
> = {
  summon: { words: ["allegro", "acme/app#1"] },
  team: { words: ["allegro+ezra", "acme/app#1"] },
  status: { before: idle },
  logs: { before: () => idle(), words: [ID] },
  stop: { before: () => void rig.create(here()), words: [ID] },
  revive: { before: () => idle(), words: [ID] },
  tell: { before: () => idle(), words: [ID], text: "use numbers" },
  items: {
    before: () => {
      idle();
      rig.deps.reviewing.take(ID, [
        {
          ...{
            kind: "inline",
            pull: 7,
            reviewId: 9,
            commentId: 90,
            part: 0,
            author: { id: 3, login: "dev" },
          },
          ...{
            path: "src/a.ts",
            line: 12,
            oldLine: 0,
            commit: TIP,
            hunk: "@@ -1 +1 @@",
            said: "say five",
            at: 1,
          },
        },
      ]);
    },
    words: [ID],
  },
  approve: { before: () => void rig.create({ ...here(), waitsForApproval: true }), words: [ID] },
  decline: { before: () => void rig.create({ ...here(), waitsForApproval: true }), words: [ID] },
  invite: { before: () => idle(), words: [ID, "bot:ezra"] },
  publish: { before: () => idle(), words: [ID] },
  extend: { before: () => idle(), words: [ID, "4h"] },
  close: { before: () => idle([]), words: [ID] },
  destroy: {
    before: () => {
      idle();
      rig.lifecycle.close(
        rig.cell(),
        { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null },
        "closed",
      );
      rig.report("sealed", { cellId: ID, bytes: 1 });
    },
    words: [ID],
  },
  why: { before: () => idle(), words: [ID] },
  hold: { words: ["an", "upgrade"] },
  resume: { before: () => setHold(rig.registry, { who: "operator", why: "", at: 0 }) },
  help: {},
};

async function answer(verb: string): Promise<Answer> {
  const { before, words = [], text = null } = TYPED[verb] ?? {};
  before?.();
  const run = verbNamed(verb)?.run;
  if (run === undefined) throw new Error(`no verb ${verb}`);
  return run({ verb, words, flags: {}, text }, operator(), rig.deps);
}

describe("every --json", () => {
  it.each(VERBS.filter((verb) => verb.run !== undefined).map((verb) => verb.name))("%s", async (verb) => {
    expect(TYPED).toHaveProperty(verb);
    const answered = await answer(verb);
    expect(answered.kind).not.toBe("refused");
    if (answered.kind === "done") expect(faultsOf(answered.data)).toEqual([]);
  });

  it("status of one cell, and what a program reads there", async () => {
    idle();
    const answered = await verbNamed("status")?.run?.(
      { verb: "status", words: [ID], flags: {}, text: null },
      operator(),
      rig.deps,
    );
    if (answered?.kind !== "done") throw new Error("refused");
    expect(faultsOf(answered.data)).toEqual([]);
    expect(answered.data).toMatchObject({ cells: [{ said: { words: "Done.", cost_usd: null } }] });
  });

  it("jobs", () => {
    rig.create(here());
    const { data } = runJobs({ ...rig.config, dataDir: rig.dir }, "list", undefined);
    expect(data).toMatchObject({
      jobs: expect.arrayContaining([expect.objectContaining({ kind: "start" })]),
    });
    expect(faultsOf(data)).toEqual([]);
  });

  it("pit", () => {
    mkdirSync(rig.config.missionsDir, { recursive: true });
    let text = "";
    const seen = { kind: "cell", id: ID, class: "stale", reason: "old", ageSeconds: 3 } as const;
    printDocument([seen], { root: "/x", at: rig.clock.now() }, (piece) => {
      text += piece;
    });
    expect(faultsOf(JSON.parse(text))).toEqual([]);
  });
});

it("knows what is not in form", () => {
  expect(faultsOf({ putAt: 1, jobs: [{ ended_at: 5, at: null, since: "yesterday" }] })).toEqual([
    "$.putAt is not in snake_case",
    "$.jobs[0].ended_at is no time: 5",
    "$.jobs[0].since is no time: yesterday",
  ]);
});

describe("RESULT of status", () => {
  const result = async () => {
    const answered = await verbNamed("status")?.run?.(
      { verb: "status", words: [], flags: {}, text: null },
      operator(),
      rig.deps,
    );
    const text = answered?.kind === "done" && typeof answered.line !== "function" ? answered.line.text : "";
    return /AGE {2,}RESULT\n.*\s{2,}\d+\w {2,}(.*)$/m.exec(text)?.[1];
  };
  const collect = (left: object, more = {}) => {
    rig.create(here());
    rig.report("run-started", started(ID, 1, rig.clock.now()));
    rig.report("run-ended", ended(ID, 1, rig.clock.now(), more));
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest(left) });
  };

  it("says what was held back, also where there is a draft", async () => {
    collect({ heldBack: ["a secret"] });
    expect(await result()).toBe("held back");
    rig.registry.update(ID, { pullRequest: 268 });
    expect(await result()).toBe("held back, draft #268");
  });

  it("says that a retry is waited for, and when", async () => {
    collect({ changed: false, tip: null }, { code: 3 });
    expect(await result()).toMatch(/^waits for a retry at \d\d:\d\d UTC$/);
  });

  it("says that a run could not be started, and why", async () => {
    collect({});
    rig.report("pushed", { cellId: ID, run: 1, tip: TIP, branch: "b", divertedFrom: null });
    rig.lifecycle.rerun(rig.cell(), "allegro", newCell(0, {}).requester);
    rig.report("run-refused", { cellId: ID, run: 2, why: "no claude on its PATH" });
    expect(await result()).toBe("not started: no claude on its PATH");
  });

  it.each([
    ["quota of money", { signs: { credit: "Credit balance is too low" } }, "no credit"],
    ["login", { signs: { login: "Invalid API key" } }, "not logged in"],
    ["a question", { question: "Which one?" }, "asks a question"],
  ])("says what a person must see to: %s", async (_what, left, said) => {
    const signs = {
      ...{ event: "failed", says: "", ownLimit: null, quota: null, login: null, credit: null },
      ...{ isOutOfMemory: false, isRebooted: false },
    };
    const all = {
      changed: false,
      tip: null,
      ...left,
      signs: { ...signs, ...("signs" in left ? left.signs : {}) },
    };
    collect(all, { code: 1 });
    expect(await result()).toBe(said);
  });
});
