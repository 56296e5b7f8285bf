import { join } from "node:path";
import { askRegistry } from "../src/cli/ask.ts";
import { loadConfig } from "../src/config/config.ts";
import { type Figure, median, writeBenchConfig } from "./ground.ts";
import { fillRegistry, idOf } from "./registry.ts";

const ROUNDS = 60;
const FEW = 100;
const MANY = 10_000;

/**
 * What `lazarus status CELL` does after its imports, with many cells in the registry against few; in turns.
 */
export async function statusOfOne(dir: string): Promise<Figure> {
  const configs = [FEW, MANY].map((cells) => {
    const ground = join(dir, `status-${cells}`);
    fillRegistry(join(ground, "data"), cells, () => null);
    const file = writeBenchConfig(ground, { url: "http://127.0.0.1:9", token: "none" }, ["/bin/true"]);
    return loadConfig({ file, env: { PATH: process.env.PATH ?? "" }, cwd: ground, needs: [] });
  });
  const took: number[][] = [[], []];
  for (let round = -5; round < ROUNDS; round++) {
    for (const [which, config] of configs.entries()) {
      const words = [idOf(1 + ((round + 5) % FEW)).slice(0, 12)];
      const began = performance.now();
      const answer = await askRegistry(config, { verb: "status", words, flags: {}, text: null });
      const ms = performance.now() - began;
      if (answer.exitCode !== 0) throw new Error(`status answered ${answer.text}`);
      if (round >= 0) took[which]?.push(ms);
    }
  }
  const [few, many] = [median(took[0] ?? []), median(took[1] ?? [])];
  return {
    name: `status CELL, ${MANY} cells against ${FEW}`,
    floor: `${few.toFixed(2)} ms`,
    measured: `${many.toFixed(2)} ms`,
    ratio: many / few,
    reach: { atMost: 2 },
  };
}
