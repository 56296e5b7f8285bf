import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { startServe } from "../scripts/serve-process.ts";
import { reportOf } from "../src/protocol/reports.ts";
import { NOTHING_TO_SAY, type Outcome, type RunnerJob } from "../src/protocol/runner-port.ts";
import { freePort } from "../test/chaos/gate.ts";
import { ended, nothingLeft, started } from "../test/fakes/control-rig.ts";
import { type StandIn, startStandIn } from "../test/fakes/forge/stand-in.ts";
import { until } from "../test/fakes/until.ts";
import { RedisServer } from "../test/scale/redis.ts";
import { p95, randomFrom } from "./fairness.ts";
import { SECRET } from "./forge.ts";
import { type Figure, writeBenchConfig } from "./ground.ts";
import { addRunners, pretendRunners } from "./pretended-runners.ts";

const SLOTS = 40;
/** Beside 80 of others: 3,000 take an hour. */
const FLOOD = 300;
const FLOOD_AT = 10;
const OTHERS = 80;
const OWNERS = ["flood", ...Array.from({ length: 8 }, (_, n) => `owner${n}`)];
const EVERY_MS = 1_200;
const MEAN_RUN_S = 20;
const PATIENCE_MS = 10 * 60_000;

/** Ms from a comment to its cell, to the start of its agent, and to its end. */
interface Waits {
  readonly cell: number[];
  readonly place: number[];
  readonly end: number[];
}

/**
 * What one owner's many summons cost everybody else, from a comment to the end of its run: a `serve`, the
 * stand-in and a Redis; the runner is pretended, its agents take 20 s on average and do nothing.
 */
export async function fairnessReal(dir: string): Promise<Figure> {
  const calm = await phase(join(dir, "fair-calm"), 0);
  const flooded = await phase(join(dir, "fair-flooded"), FLOOD);
  const seconds = (waits: readonly number[]) => `${(p95(waits) / 1_000).toFixed(1)} s`;
  const say = ({ cell, place, end }: Waits) =>
    `${seconds(end)} to its end, ${seconds(place)} to its start, ${seconds(cell)} to its cell`;
  return {
    name: `others' p95 beside ${FLOOD} summons of one owner on ${SLOTS} places`,
    floor: say(calm),
    measured: say(flooded),
    ratio: p95(flooded.end) / p95(calm.end),
    reach: { atMost: 2 },
  };
}

async function phase(ground: string, flood: number): Promise<Waits> {
  const redis = await RedisServer.start();
  const forge = await startStandIn();
  const address = `127.0.0.1:${await freePort()}`;
  const token = await people(forge, address);
  const config = writeBenchConfig(ground, { url: forge.url, token }, ["/bin/true"], {
    server: { listen: address },
    forge: {
      url: forge.url,
      token,
      webhook_secret: SECRET,
      repositories: OWNERS.map((owner) => `${owner}/*`),
    },
    queue: redis.url,
    runner: { slots: 0 },
    limits: { cells: SLOTS, per_repository: SLOTS, per_person: SLOTS, spares: 0 },
  });
  const random = randomFrom(13);
  const runners = await pretendRunners(addRunners(config, ["r1"]), {
    ...{ port: redis.port, beatMs: 2_000, slots: SLOTS },
    perform: (job) => perform(job),
  });
  async function perform(job: RunnerJob): Promise<Outcome> {
    if (job.kind === "start") {
      const { cell, run } = job.payload as RunnerJob<"start">["payload"];
      const endsIn = Math.max(1, -Math.log(1 - random()) * MEAN_RUN_S) * 1_000;
      setTimeout(() => {
        runners.ends.get("r1")?.report(reportOf("run-ended", ended(cell.id, run, Date.now())));
      }, endsIn).unref();
      return { reports: [reportOf("run-started", started(cell.id, run, Date.now()), job.key)] };
    }
    if (job.kind !== "collect") return NOTHING_TO_SAY;
    const { cellId, run } = job.payload as RunnerJob<"collect">["payload"];
    return { reports: [reportOf("collected", { cellId, run, harvest: nothingLeft() }, job.key)] };
  }
  const serving = await startServe(config, join(ground, "serve.log"));
  try {
    await until("the runner is welcome", () => runners.ends.get("r1")?.isWelcome === true);
    // The forge's clock has seconds: what is typed in the same one is from before.
    await pause(1_100);
    const typed = new Map<string, number>();
    const summon = async (owner: string) => {
      const repo = `${owner}/app`;
      const number = await forge.people.openIssue("dev", repo, { title: "A task", body: "Please." });
      if (owner !== "flood") typed.set(`${repo}#${number}`, Date.now());
      await forge.people.comment("dev", { repo, number }, "/lazarus summon stamp");
    };
    const going: Promise<void>[] = [];
    for (let n = 0; n < OTHERS; n++) {
      if (n === FLOOD_AT) for (let one = 0; one < flood; one++) going.push(summon("flood"));
      going.push(summon(`owner${n % (OWNERS.length - 1)}`));
      await pause(EVERY_MS);
    }
    await Promise.all(going);
    const db = new Database(join(ground, "data", "lazarus.db"), { readonly: true });
    const look = db.prepare(
      `SELECT full_name || '#' || number AS at, cells.created_at AS made, started_at AS began, ended_at AS over FROM cells
       JOIN runs ON runs.cell = cells.id WHERE full_name NOT LIKE 'flood/%' AND ended_at IS NOT NULL`,
    );
    await until("all of the others' have ended", () => look.all().length === OTHERS, PATIENCE_MS);
    const rows = look.all() as { at: string; made: number; began: number; over: number }[];
    db.close();
    const since = ({ at }: { at: string }) => typed.get(at) ?? 0;
    return {
      cell: rows.map((one) => one.made - since(one)),
      place: rows.map((one) => one.began - since(one)),
      end: rows.map((one) => one.over - since(one)),
    };
  } finally {
    await serving.end();
    await runners.close();
    await forge.stop();
    await redis.remove();
  }
}

/** Everybody who is there, and the repositories of all owners; answers the bot's token. */
async function people({ people: all }: StandIn, address: string): Promise<string> {
  all.createUser("dev");
  const bot = all.createUser("lazarus");
  for (const owner of OWNERS) {
    all.createOrganization(owner, "root1");
    await all.createRepository(`${owner}/app`);
    all.addCollaborator(`${owner}/app`, "dev", "write");
    all.addCollaborator(`${owner}/app`, "lazarus", "admin");
    all.createHook(`${owner}/app`, { url: `http://${address}/webhooks/gitea`, secret: SECRET });
  }
  return bot.token;
}
