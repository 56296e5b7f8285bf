import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NOTHING_TO_SAY, type RunnerJob, type RunnerPort } from "../../src/protocol/runner-port.ts";
import type { Post } from "../../src/transport/post.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { controlEnd, post, runnerEnd } from "./rig.ts";

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

const JOB = {
  ...{ id: "1", kind: "mark", key: "mark", attempt: 1 },
  payload: {
    cellId: "3f0e4f9a-6c1d-4b5a-9a36-0c7f6f1f2d11",
    mission: { status: "idle", members: [], history: [] },
  },
} as const satisfies RunnerJob<"mark">;

/** A port that writes down what is asked of it; `sweeping` is what each sweep waits for. */
function portOf(said: string[], sweeping: () => Promise<void>): RunnerPort {
  return {
    name: "swept",
    do: async () => {
      said.push("job");
      return NOTHING_TO_SAY;
    },
    adopt() {},
    async sweep() {
      said.push("sweep begins");
      await sweeping();
      said.push("sweep ends");
    },
    inventory: async () => ({ root: "", there: new Set(), damaged: new Map(), strangers: [] }),
    readLog: async () => ({ text: "", cut: false }),
    hear: async () => false,
    close: async () => {},
  };
}

/** A runner of that name and its control, which hear each other. */
async function line(name: string, open: () => RunnerPort) {
  let beats = 0;
  const end = runnerEnd(name, through, open);
  const control = controlEnd(name, through, {
    report() {},
    changed: (_, what) => {
      if (what === "beat") beats++;
    },
  });
  await until("it has joined", () => control.state().isHere);
  const close = async () => {
    await end.close(0);
    await control.close();
  };
  return { control, beats: () => beats, close };
}

describe("a runner that was started anew", needs("redis-server"), () => {
  it("begins nothing before what an earlier process left half-made is gone", async () => {
    const said: string[] = [];
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const port = portOf(said, () => gate);
    const { control, beats, close } = await line("swept", () => port);
    const done = control.do(JOB, new AbortController().signal);
    await until("it sweeps", () => said.includes("sweep begins"));
    const from = beats();
    await until("it was heard again, and again", () => beats() > from + 3);
    go();
    await done;
    expect(said).toEqual(["sweep begins", "sweep ends", "job"]);
    await close();
  });

  it("sweeps again where that failed, and is opened once", async () => {
    const said: string[] = [];
    let tries = 0;
    let opened = 0;
    const port = portOf(said, async () => {
      if (++tries === 1) throw new Error("a disk that is away");
    });
    const { control, close } = await line("swept-again", () => {
      opened++;
      return port;
    });
    await until("it has swept", () => said.includes("sweep ends"));
    await control.do(JOB, new AbortController().signal);
    expect(said).toEqual(["sweep begins", "sweep begins", "sweep ends", "job"]);
    expect(opened).toBe(1);
    await close();
  });
});
