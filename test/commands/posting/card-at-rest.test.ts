import { afterEach, describe, expect, it } from "vitest";
import { createReplyHandlers } from "../../../src/commands/posting/post.ts";
import type { Forge } from "../../../src/gitea/port.ts";
import type { JobPayload } from "../../../src/protocol/jobs.ts";
import { ended, ID, jobOf, newCell, started } from "../../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../../fakes/forge-rig.ts";

let rig: ForgeRig;
afterEach(() => rig.stop());

const MINUTE = 60_000;
/** Every call of the forge, by name. */
let calls: string[];
let handlers: ReturnType<typeof createReplyHandlers>;

async function open(config: Record<string, unknown> = {}): Promise<void> {
  rig = await createForgeRig({ config });
  calls = [];
  const forge = new Proxy(rig.deps.forge, {
    get(target, name) {
      const own = Reflect.get(target, name) as unknown;
      if (typeof own !== "function") return own;
      return (...args: unknown[]) => {
        calls.push(String(name));
        return (own as (...all: unknown[]) => unknown)(...args);
      };
    },
  }) as Forge;
  handlers = createReplyHandlers({ ...rig.deps, db: rig.db, forge } as never);
}

/** Works off what waits for its time, as the queue does, and answers how many cards that were. */
async function workOffCards(): Promise<number> {
  const due = rig.queue.list({ states: ["waiting"], limit: 1e6 }).filter((row) => row.kind === "card");
  let done = 0;
  for (const row of due.filter((one) => one.notBefore <= rig.clock.now())) {
    const cellId = row.lane.slice("card:".length);
    rig.db.sql.prepare("UPDATE jobs SET state = 'done', ended_at = 0 WHERE id = ?").run(row.id);
    const { job, context } = jobOf("card", { cellId });
    const finish = await handlers.card?.(job, context);
    rig.db.transaction(() => finish?.());
    done++;
  }
  return done;
}
const sees = (cellId: string, more: Partial<JobPayload<"health">> = {}) =>
  rig.report("health", {
    ...{ cellId, run: 1, health: "healthy", reason: "output", beat: null },
    ...{ since: rig.clock.now(), seenAt: rig.clock.now() },
    ...more,
  });
const edits = () => calls.filter((one) => one === "editComment").length;
const here = () => ({ repository: rig.repository, number: rig.at.number });

describe("cards of cells at rest", () => {
  it("cost nothing in an hour: no edit, no call and no job, however many run", async () => {
    await open({ limits: { cells: 1_000, per_repository: 1_000, per_person: 1_000 } });
    rig.active(here());
    await workOffCards();
    expect(rig.botComments()).toHaveLength(1);
    const shown = rig.cell().cardShown;
    const ids = Array.from(
      { length: 400 },
      (_, n) => `${String(n).padStart(8, "0")}-2222-4222-8333-444455556666`,
    );
    rig.registry.transaction(() => {
      for (const id of ids) {
        rig.registry.insert(newCell(rig.clock.now(), { ...here(), id, branch: `lazarus/${id}` }), [], "");
        rig.registry.addRun({ cellId: id, ...RUN });
        rig.registry.updateRun(id, 1, { state: "admitted" });
        rig.report("run-started", started(id, 1, rig.clock.now()));
        rig.registry.update(id, { cardId: 1, cardShown: shown });
      }
    });
    rig.clearJobs();
    calls = [];
    let cards = 0;
    for (let minute = 0; minute < 60; minute += 4) {
      await rig.clock.advance(4 * MINUTE);
      // A sign of life each, and what was seen of it is another thing each time.
      const reason = minute % 8 === 0 ? "output" : "changes in its tree";
      rig.registry.transaction(() => {
        for (const id of [ID, ...ids]) sees(id, { reason });
      });
      cards += await workOffCards();
    }
    expect({ calls, cards }).toEqual({ calls: [], cards: 0 });
  });

  it("are edited at most each five minutes for what their agents say, and at once for their health", async () => {
    await open();
    rig.active(here());
    await workOffCards();
    calls = [];
    const beat = (n: number) => ({ at: rig.clock.now(), state: `step ${n}`, message: null, progress: null });
    for (let n = 0; n < 60; n++) {
      await rig.clock.advance(MINUTE);
      sees(ID, { beat: { ...beat(n), by: "agent" } });
      await workOffCards();
    }
    expect(edits()).toBeGreaterThanOrEqual(10);
    expect(edits()).toBeLessThanOrEqual(12);
    const before = edits();
    sees(ID, { health: "stalled", reason: "no output" });
    await rig.clock.advance(5_000);
    await workOffCards();
    expect(edits()).toBe(before + 1);
    expect(rig.botComments()[0]).toMatch(/\*\*allegro is stalled since \d\d:\d\d UTC\*\*: no output/);
  });

  it("are not edited again by another process for the same text", async () => {
    await open();
    rig.active(here());
    await workOffCards();
    calls = [];
    handlers = createReplyHandlers({ ...rig.deps, db: rig.db } as never);
    rig.steps.card(ID);
    expect(await workOffCards()).toBe(1);
    expect(calls).toEqual([]);
  });

  it("wait for no time that a clock that was set back has to come to again", async () => {
    await open();
    rig.active(here());
    await workOffCards();
    const beat = { at: rig.clock.now(), message: null, progress: null, by: "agent" } as const;
    sees(ID, { beat: { ...beat, state: "first" } });
    await rig.clock.advance(5 * MINUTE);
    await workOffCards();
    calls = [];
    rig.clock.jump(-600 * MINUTE);
    sees(ID, { beat: { ...beat, state: "second" } });
    await rig.clock.advance(MINUTE);
    await workOffCards();
    expect(edits()).toBe(1);
    rig.clock.jump(-600 * MINUTE);
    sees(ID, { health: "stalled", reason: "no output" });
    await workOffCards();
    expect(edits()).toBe(2);
  });

  it("bear the end of a run soon", async () => {
    await open();
    rig.active(here());
    await workOffCards();
    calls = [];
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    await rig.clock.advance(5_000);
    await workOffCards();
    expect(edits()).toBe(1);
  });

  it("come back where somebody deleted them, when there is news", async () => {
    await open();
    rig.active(here());
    await workOffCards();
    await rig.deps.forge.deleteComment({ owner: "acme", name: "app" }, rig.cell().cardId ?? 0);
    expect(rig.botComments()).toHaveLength(0);
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    await rig.clock.advance(5_000);
    await workOffCards();
    expect(rig.botComments()).toHaveLength(1);
  });
});

const RUN = {
  agent: "allegro",
  role: "executor",
  requester: { id: 2, login: "dev" },
  state: "waiting",
} as const;
