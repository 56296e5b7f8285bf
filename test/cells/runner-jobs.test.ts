import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRunnerHandlers, jobsElsewhere } from "../../src/cells/runner-jobs.ts";
import type { JobKind } from "../../src/protocol/jobs.ts";
import { NOTHING_TO_SAY } from "../../src/protocol/runner-port.ts";
import type { Job } from "../../src/queue/queue.ts";
import { type ControlRig, createControl, ID } from "../fakes/control-rig.ts";
import { until } from "../fakes/until.ts";

const ELSEWHERE = "9ab24c11-1111-4222-8333-444455556666";

let rig: ControlRig;

beforeEach(() => {
  rig = createControl();
  rig.active();
  rig.active({ id: ELSEWHERE, branch: "lazarus/9ab24c11" });
  rig.registry.update(ELSEWHERE, { runner: "other" });
  rig.clearJobs();
});
afterEach(() => rig.remove());

const stop = (id: string) =>
  rig.steps.putStop(rig.cell(id), rig.run(id), { cause: "asked", why: "dev asked" });
const states = (kind: JobKind) =>
  Object.fromEntries(
    (
      rig.db.sql.prepare("SELECT lane, state FROM jobs WHERE kind = ? AND ended_at IS NOT 0").all(kind) as {
        lane: string;
        state: string;
      }[]
    ).map(({ lane, state }) => [lane, state]),
  );

describe("the jobs of runners", () => {
  it("are done by the runner where the cell lies; one that is not here is waited for", async () => {
    const done: string[] = [];
    const local = {
      async do({ payload }: { payload: object }) {
        done.push("cellId" in payload ? String(payload.cellId) : "");
        return NOTHING_TO_SAY;
      },
    };
    stop(ID);
    stop(ELSEWHERE);
    const { stop: handler } = createRunnerHandlers(new Map([["local", local]]), {
      ...{ registry: rig.registry, queue: rig.queue },
      onMoved: async () => null,
    });
    if (handler === undefined) throw new Error("nobody stops");
    rig.queue.work({ stop: handler });
    await rig.queue.idle();
    expect(done).toEqual([ID]);
    expect(states("stop")).toEqual({ [`cell:${ID}`]: "done", [`cell:${ELSEWHERE}`]: "waiting" });
    expect(rig.queue.list({ states: ["waiting"] })[0]?.error).toContain("lies on the runner other");
  });

  it("are taken back after a kill but for those of a runner elsewhere, which goes on with them", async () => {
    stop(ID);
    stop(ELSEWHERE);
    rig.db.sql.prepare("UPDATE jobs SET state = 'running', lease = 'killed' WHERE kind = 'stop'").run();
    const asked: { lane: string; attempt: number }[] = [];
    const go = new AbortController();
    rig.queue.work(
      {
        stop: async ({ lane, attempt }: Job<"stop">) => {
          asked.push({ lane, attempt });
          // The runner elsewhere has not answered yet.
          if (lane === `cell:${ELSEWHERE}`)
            await new Promise((resolve) => go.signal.addEventListener("abort", resolve));
          return undefined;
        },
      },
      { isElsewhere: jobsElsewhere(new Map([["local", null]]), rig.registry) },
    );
    await until("this one is done", () => states("stop")[`cell:${ID}`] === "done");
    expect(states("stop")).toEqual({ [`cell:${ID}`]: "done", [`cell:${ELSEWHERE}`]: "running" });
    // The same attempt as before the kill: what goes on there has not failed.
    expect(asked).toContainEqual({ lane: `cell:${ELSEWHERE}`, attempt: 0 });
    go.abort();
    await rig.queue.idle();
    expect(states("stop")[`cell:${ELSEWHERE}`]).toBe("done");
  });

  it("are elsewhere only where a runner has them: cards and commands are control's", () => {
    const isElsewhere = jobsElsewhere(new Map([["local", null]]), rig.registry);
    const card = { kind: "card", payload: { cellId: ELSEWHERE } } as Job<"card">;
    expect(isElsewhere(card as Job<JobKind>)).toBe(false);
  });
});
