import type { Clock } from "./clock.ts";
import type { Config } from "./config/config.ts";
import { explain } from "./errors.ts";
import type { Forge } from "./gitea/port.ts";
import type { Reach } from "./gitea/reach.ts";
import type { Log } from "./log.ts";
import { formatDuration } from "./units.ts";

const FORGE_RETRY_MS = 5_000;
/** A forge that has not answered for so long makes us not ready. */
const SILENCE_MS = 30_000;
/** Between the forge's reading of its clock and ours of its answer. */
const MOST_ON_THE_WAY_MS = 250;

/** What is known of the forge since the start. */
export interface Readiness {
  /** The bot's user id; null until the forge has answered. */
  botId(): number | null;
  notReady(): string[];
  stop(): void;
}

/**
 * Asks the forge who we are and what time it is, until it answers: before that nobody can say what is old and
 * what is new.
 */
export function createReadiness(deps: {
  config: Config;
  forge: Forge;
  reach: Pick<Reach, "silence">;
  clock: Clock;
  log: Log;
  /** Writes down the forge's times (epoch ms): now, and at our start. What happens since then is for us. */
  begin(forgeNow: number, forgeAtStart: number): void;
}): Readiness {
  let botId: number | null = null;
  let problem: string | null = "the forge has not answered yet";
  let cancel = () => {};
  let stopped = false;
  const startedAt = deps.clock.monotonic();
  /** The forge's time now, and at our start: in whole seconds, as the forge dates what is written there. */
  const times = async () => {
    const now = await deps.forge.clock();
    const ours = deps.clock.now();
    // Its answer tells no parts of a second: ours does, where the two clocks agree. It took a moment to come.
    const agree = ours >= now && ours < now + 1_000 + MOST_ON_THE_WAY_MS;
    const atStart = (agree ? ours : now + 500) - (deps.clock.monotonic() - startedAt);
    return { now, atStart: Math.floor(atStart / 1_000) * 1_000 };
  };
  const ask = async () => {
    try {
      const [me, { now, atStart }] = await Promise.all([deps.forge.me(), times()]);
      // The registry is closed by now.
      if (stopped) return;
      // Whoever is told that we listen may type at once, before the forge has told the time.
      deps.begin(now, atStart);
      botId = me.id;
      problem = null;
      deps.log.info({ forge: deps.config.forge.url, as: me.login }, "the forge answers");
    } catch (error) {
      if (stopped) return;
      problem = explain(error);
      deps.log.warn(
        { forge: deps.config.forge.url, why: problem },
        "the forge does not answer; asking again",
      );
      cancel = deps.clock.after(FORGE_RETRY_MS, () => void ask());
    }
  };
  void ask();
  return {
    botId: () => botId,
    notReady() {
      if (problem !== null) return [problem];
      const silence = deps.reach.silence();
      if (silence === null || silence.ms < SILENCE_MS) return [];
      return [
        `the forge has not answered for ${formatDuration(Math.floor(silence.ms / 1000) * 1000)}: ${silence.why}`,
      ];
    },
    stop() {
      stopped = true;
      cancel();
    },
  };
}
