import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NOTHING_TO_SAY, type RunnerPort } from "../../src/protocol/runner-port.ts";
import type { Post } from "../../src/transport/post.ts";
import { queueNames } from "../../src/transport/post.ts";
import { seal, unseal } from "../../src/transport/sealing.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { controlEnd, keysOf, post, runnerEnd } from "./rig.ts";

let redis: RedisServer;
let through: Post;
beforeAll(async () => {
  redis = await RedisServer.start();
  through = await post(redis);
});
afterAll(async () => {
  await through.close();
  await redis.remove();
});

const header = { generation: 1, epoch: 5, incarnation: "i", number: 1 };

describe("a sealed message", needs("redis-server"), () => {
  const { to } = keysOf("r1");
  const open = (text: unknown, queue = "q") => unseal(() => to, queue, text);
  const sealed = seal(to, "q", { header, text: '{"say":"greet"}' });

  it("opens with its key, for its queue", () => {
    expect(open(sealed)).toEqual({ header, text: '{"say":"greet"}' });
  });

  it("is nothing to any other key, in any other queue, and with any bit changed", () => {
    expect(open(sealed, "other")).toBeNull();
    expect(unseal(() => keysOf("r2").to, "q", sealed)).toBeNull();
    expect(unseal(() => keysOf("r1").from, "q", sealed)).toBeNull();
    expect(unseal(() => null, "q", sealed)).toBeNull();
    const bytes = Buffer.from(sealed, "base64");
    for (let at = 0; at < bytes.length; at++) {
      const bad = Buffer.from(bytes);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(open(bad.toString("base64"))).toBeNull();
    }
  });

  it.each([[undefined], [7], [{}], [""], ["AA"], ["x".repeat(10_000_000)], ["[".repeat(100_000)]])(
    "is not what %.20s is",
    (bad) => expect(open(bad)).toBeNull(),
  );
});

/** Does a job when it is told to, and counts. */
function worker(): RunnerPort & { readonly began: string[]; readonly swept: string[][] } {
  const [began, swept]: [string[], string[][]] = [[], []];
  return {
    ...{ name: "w", began, swept },
    async do(job) {
      began.push(`${job.id} ${job.attempt}`);
      return NOTHING_TO_SAY;
    },
    adopt() {},
    sweep: async (ids) => void swept.push([...ids]),
    inventory: () => Promise.reject(new Error("not asked")),
    readLog: async () => ({ text: "", cut: false }),
    hear: async () => false,
    close: async () => {},
  };
}

const mark = (id: string, attempt = 1) => ({
  ...{ id, kind: "mark" as const, key: id, attempt },
  payload: { cellId: "c", mission: { status: "idle", members: [], history: [] } },
});

describe("whoever has all rights on the Redis", needs("redis-server"), () => {
  it("does nothing by saying again what was said, by what it makes up, and by what is too large", async () => {
    const name = "hostile";
    const seen: unknown[] = [];
    const tapped: Post = {
      ...through,
      send: (queue, message, id) => {
        seen.push([queue, message]);
        return through.send(queue, message, id);
      },
    };
    const work = worker();
    const end = runnerEnd(name, tapped, () => work);
    const control = controlEnd(name, tapped, { report() {}, isAtWork: () => true });
    await control.do(mark("a"), new AbortController().signal);
    const names = queueNames(name);
    const before = [...seen] as [string, string][];
    for (const [queue, message] of before) await through.send(queue, message);
    // Of another way, made up, and large.
    for (const [, message] of before) {
      await through.send(names.to, message);
      await through.send(names.from, message);
    }
    await through.send(names.to, "x".repeat(10 * 1024 * 1024));
    await through.send(names.to, seal(Buffer.alloc(32), names.to, { header, text: '{"say":"greet"}' }));
    await control.do(mark("b"), new AbortController().signal);
    expect(work.began).toEqual(["a 1", "b 1"]);
    expect(work.swept).toEqual([[]]);
    expect(control.state()).toMatchObject({ isHere: true, isDoubled: false });
    expect(control.state().dropped).toBeGreaterThan(0);
    await control.close();
    await end.close(0);
  });

  it("an older control is not heard once a later one was", async () => {
    const name = "zombie";
    const work = worker();
    const end = runnerEnd(name, through, () => work);
    const later = controlEnd(name, through, { report() {}, epoch: 2_000 });
    await later.do(mark("a"), new AbortController().signal);
    await later.close();
    const zombie = controlEnd(name, through, { report() {}, epoch: 1_000 });
    const never = zombie.do(mark("b"), new AbortController().signal).then(() => "done");
    const last = controlEnd(`${name}-next`, through, { report() {} });
    const next = runnerEnd(`${name}-next`, through, () => work);
    await last.do(mark("c"), new AbortController().signal);
    expect(work.began).toEqual(["a 1", "c 1"]);
    expect(await Promise.race([never, Promise.resolve("not yet")])).toBe("not yet");
    for (const one of [zombie, last]) await one.close();
    for (const one of [end, next]) await one.close(0);
  });
});

describe("a runner that was taken over", needs("redis-server"), () => {
  it("is believed nothing of another's cells, of other kinds, and under others' keys", async () => {
    const name = "liar";
    const work = worker();
    const heard: { key: string; kind: string }[] = [];
    const lies = runnerEnd(name, through, () => ({
      ...work,
      do: async () => ({
        reports: [
          {
            kind: "pushed",
            key: "k",
            payload: { cellId: "c", run: 1, branch: "b", tip: "t", divertedFrom: null },
          },
        ],
      }),
    }));
    const control = controlEnd(name, through, {
      report: (reports) => void heard.push(...reports),
      isOurs: (cellId) => cellId === "c",
    });
    await expect(control.do(mark("a"), new AbortController().signal)).rejects.toThrow(
      /reports pushed, which is not for it/,
    );
    const ended = (cellId: string, key: string) =>
      lies.report({
        ...{ kind: "run-ended", key },
        payload: {
          ...{ cellId, run: 1, began: true, endedAt: 1, code: 0, signal: null, stopped: null },
          ...{ leftovers: [], refusedHosts: [] },
        },
      });
    ended("another", "another:1:ended");
    ended("c", "somebody:else");
    await until("the true one is heard", () => heard.length > 0);
    expect(heard.map(({ key }) => key)).toEqual(["c:1:ended"]);
    await control.close();
    await lies.close(0);
  });
});

describe("a runner that is started anew", needs("redis-server"), () => {
  it("has its jobs interrupted, and not one that was never sent", async () => {
    const name = "again";
    const stuck = { ...worker(), do: () => new Promise<never>(() => {}) };
    const first = runnerEnd(name, through, () => stuck);
    const control = controlEnd(name, through, { report() {} });
    const lost = control.do(mark("a"), new AbortController().signal);
    const seen = lost.catch((error: unknown) => error);
    await until("it has joined", () => control.state().isHere);
    await first.close(0);
    const work = worker();
    const second = runnerEnd(name, through, () => work);
    expect(await seen).toMatchObject({ code: "runner-restarted", wasAlone: true });
    await control.do(mark("a", 2), new AbortController().signal);
    expect(work.began).toEqual(["a 2"]);
    await control.close();
    await second.close(0);
  });
});
