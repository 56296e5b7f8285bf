import type { Config } from "../config/config.ts";
import { explain } from "../errors.ts";
import { silentLog } from "../log.ts";
import { askRedis } from "../transport/bullmq.ts";
import { aboutRedis, type RedisFacts } from "../transport/redis-words.ts";
import { type Finding, finding } from "./finding.ts";

const SLOW_MS = 100;
const WHAT = "redis";

/**
 * The Redis of `queue`: whether it answers, and what its settings mean for messages. Empty where it is local.
 */
export async function examineRedis({ queue }: Pick<Config, "queue">): Promise<Finding[]> {
  if (queue === "local") return [];
  try {
    return aboutFacts(await askRedis({ ...queue, prefix: queue.prefix ?? "lz", log: silentLog }), queue);
  } catch (error) {
    return [finding("FAIL", WHAT, `${explain(error)}; work of this host goes on, runners get none`)];
  }
}

function aboutFacts(facts: RedisFacts, { host, port }: { host: string; port: number }): Finding[] {
  const { version, persistence, roundTripMs } = facts;
  const kept = {
    ...{
      aof: "writes each message down (AOF)",
      rdb: "saves now and then (RDB): what it loses is sent again",
    },
    none: "keeps nothing on disk",
  };
  const how = persistence === null ? "does not tell what it keeps" : kept[persistence];
  const said = `Redis ${version ?? "of an unknown version"} at ${host}:${port}, answers in ${roundTripMs.toFixed(1)} ms, ${how}`;
  const slow =
    roundTripMs > SLOW_MS ? [finding("warn", WHAT, "it answers slowly: put it nearer to Lazarus")] : [];
  return [finding("ok", WHAT, said), ...aboutRedis(facts).map((one) => finding("warn", WHAT, one)), ...slow];
}
