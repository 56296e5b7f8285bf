import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { NOTHING_TO_SAY, type RunnerPort } from "../../src/protocol/runner-port.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { controlEnd, PREFIX, post, runnerEnd } from "./rig.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.remove());

/** The rights that docs/runners.md gives a runner's user. */
function documented(): string {
  const docs = readFileSync(join(import.meta.dirname, "../../docs/runners.md"), "utf8");
  const line = docs.split("\n").find((one) => one.startsWith("ACL SETUSER r1 "));
  if (line === undefined) throw new Error("docs/runners.md gives no rights");
  return line.replaceAll("lz:XXXXXXXX", PREFIX);
}

const work: RunnerPort = {
  name: "r1",
  do: async () => NOTHING_TO_SAY,
  adopt() {},
  sweep: async () => {},
  inventory: () => Promise.reject(new Error("not asked")),
  readLog: async () => ({ text: "", cut: false }),
  hear: async () => false,
  close: async () => {},
};

it(
  "the rights of the docs are enough for a runner, and for no other's queues",
  needs("redis-server"),
  async () => {
    expect(await redis.ask(documented())).toContain("+OK");
    const own = await post(redis, { user: "r1", password: "a-password" });
    const ours = await post(redis);
    const end = runnerEnd("r1", own, () => work);
    const control = controlEnd("r1", ours, { report() {} });
    const job = {
      ...{ id: "a", kind: "mark" as const, key: "a", attempt: 1 },
      payload: { cellId: "c", mission: { status: "idle", members: [], history: [] } },
    };
    expect(await control.do(job, new AbortController().signal)).toEqual(NOTHING_TO_SAY);
    await expect(own.send("{to-r2}", "a message")).rejects.toThrow(/sending to/);
    expect(own.trouble()).toMatch(/its user may not do what is needed/);
    await control.close();
    await end.close(0);
    await own.close();
    await ours.close();
  },
);

it("says in words that the password is wrong, and that nobody is there", needs("redis-server"), async () => {
  expect(await redis.ask("ACL SETUSER r9 on >right ~* +@all")).toContain("+OK");
  const wrong = await post(redis, { user: "r9", password: "wrong" });
  await expect(wrong.send("{to-r1}", "a message")).rejects.toThrow(/sending to/);
  expect(wrong.trouble()).toMatch(/it refuses the user or the password \(queue_user, queue_password\)/);
  await wrong.close();
  const gone = await RedisServer.start();
  await gone.kill();
  const nobody = await post(gone);
  await expect(nobody.send("{to-r1}", "a message")).rejects.toThrow(/sending to/);
  expect(nobody.trouble()).toMatch(/nobody listens there|does not answer/);
  await nobody.close();
  await gone.remove();
});
