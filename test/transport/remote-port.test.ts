import { afterAll, beforeAll } from "vitest";
import type { Post } from "../../src/transport/post.ts";
import type { RunnerEnd } from "../../src/transport/runner-end.ts";
import { runnerPortContract } from "../contracts/runner-port.contract.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { controlEnd, once, post, runnerEnd } from "./rig.ts";

let redis: RedisServer;
let through: Post;
let made = 0;
const ends: RunnerEnd[] = [];

beforeAll(async () => {
  redis = await RedisServer.start();
  through = await post(redis);
});
afterAll(async () => {
  await Promise.all(ends.map((one) => one.close(0)));
  await through.close();
  await redis.remove();
});

runnerPortContract(
  "a runner behind a Redis",
  async (rig) => {
    const name = `r${++made}`;
    const holder: { end: RunnerEnd | null } = { end: null };
    // What it sees by itself goes over the line, too.
    rig.restart({ ...rig.deps, report: (report) => holder.end?.report(report) });
    holder.end = runnerEnd(name, through, () => rig.runner);
    ends.push(holder.end);
    const port = controlEnd(name, through, { report: once(rig.reports) });
    await until("the runner has joined", () => port.state().isHere);
    return port;
  },
  { isHere: false, wants: needs("redis-server") },
);
