import { fork } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { type Delivery, type ForgeProcess, SECRET } from "./forge.ts";
import { type Figure, median, serve, syncDisks } from "./ground.ts";
import { acksPerSecond } from "./load.ts";

const ROUNDS = 7;
/** Before them: both must have been compiled by V8 for what they do most. */
const WARM_UP_ROUNDS = 3;
const PER_ROUND = 1_000;
/** So many issues are talked on at the same time. */
const THREADS = 50;
const CONNECTIONS = 8;
/** Whoever names somebody may mean the bot: it is written down to be looked at. Other words would not be. */
const WORDS = "Looks good to me, @dev.";

/** Deliveries acknowledged per second once they are on the disk, against the same receiver without one. */
export async function durableAcks(dir: string, forge: ForgeProcess): Promise<Figure> {
  const serving = await serve(join(dir, "acks"), forge, ["/bin/true"]);
  const floorApp = fork(join(import.meta.dirname, "floor-app.ts"));
  try {
    const [port] = (await once(floorApp, "message")) as [number];
    const samples: Delivery[] = [];
    for (let thread = 0; thread < THREADS; thread++) samples.push(await forge.type(WORDS));
    const floor: number[] = [];
    const measured: number[] = [];
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
      const deliveries = distinct(samples, round);
      await serving.settled();
      syncDisks();
      const without = await acksPerSecond(`http://127.0.0.1:${port}`, deliveries, CONNECTIONS);
      const durable = await acksPerSecond(serving.url, deliveries, CONNECTIONS);
      if (round < WARM_UP_ROUNDS) continue;
      floor.push(without);
      measured.push(durable);
    }
    await serving.settled();
    return {
      name: `durable acks, ${CONNECTIONS} connections`,
      floor: `${median(floor).toFixed(0)}/s`,
      measured: `${median(measured).toFixed(0)}/s`,
      ratio: median(measured) / median(floor),
      reach: { atLeast: 0.8 },
    };
  } finally {
    floorApp.disconnect();
    await serving.end();
  }
}

/** The same comments under other ids, each signed. */
function distinct(samples: readonly Delivery[], round: number): Delivery[] {
  const each = samples.map((one) => ({
    ...one,
    payload: JSON.parse(one.body) as { comment: { id: number } },
  }));
  return Array.from({ length: PER_ROUND / THREADS }, (_, lap) =>
    each.map(({ headers, payload, number }, thread) => {
      const comment = { ...payload.comment, id: 1_000_000 + round * PER_ROUND + lap * THREADS + thread };
      const body = JSON.stringify({ ...payload, comment }, null, 2);
      const digest = createHmac("sha256", SECRET).update(body).digest("hex");
      return { body, number, headers: { ...headers, "X-Hub-Signature-256": `sha256=${digest}` } };
    }),
  ).flat();
}
