import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { systemClock } from "../src/clock.ts";
import { noCounts, scan } from "../src/runner/pit/pit.ts";
import { CONTRACT } from "../src/runner/pit/pit-look.ts";
import { layCell } from "../test/fakes/cell-directory.ts";
import { type Figure, median } from "./ground.ts";

const CELLS = 10_000;
const FEW_CELLS = 100;
const ROUNDS = 9;
const TOLERANCE = { staleMs: 24 * 60 * 60_000, skewMs: 30_000 };
const PATHS = [...CONTRACT.directories, ...CONTRACT.files];
const PIT = resolve(import.meta.dirname, "../src/runner/pit/pit.ts");

/**
 * A scan of ten thousand cells, against looking at the ten paths of each and parsing both of its documents;
 * in turns.
 */
export async function pitScan(dir: string): Promise<Figure> {
  const root = layCells(join(dir, "pit"), CELLS);
  const took = { floor: [] as number[], pit: [] as number[] };
  // The first round of each fills the kernel's caches and warms the code.
  for (let round = -1; round < ROUNDS; round++) {
    const [floor, pit] = [timed(() => lookAndParse(root)), timed(() => lookAtAll(root))];
    if (round < 0) continue;
    took.floor.push(floor);
    took.pit.push(pit);
  }
  rmSync(root, { recursive: true });
  const [floor, pit] = [median(took.floor), median(took.pit)];
  return {
    name: `pit scan, ${CELLS.toLocaleString("en")} cells`,
    floor: `${floor.toFixed(0)} ms`,
    measured: `${pit.toFixed(0)} ms`,
    ratio: pit / floor,
    reach: { atMost: 1.5 },
  };
}

/**
 * What is in use once the last of ten thousand cells was looked at, in the tenth scan, against a hundred;
 * each in a process of its own. How much a process holds besides is up to V8, which lets its young generation
 * grow to some 35 MB and no further.
 */
export async function pitMemory(dir: string): Promise<Figure> {
  const [few, many] = [FEW_CELLS, CELLS].map((count) => {
    const root = layCells(join(dir, `pit-memory-${count}`), count);
    const used = liveMb(root, count);
    rmSync(root, { recursive: true });
    return used;
  });
  if (few === undefined || many === undefined) throw new Error("nothing was measured");
  return {
    name: `pit's live memory, ${CELLS.toLocaleString("en")} cells against ${FEW_CELLS}`,
    floor: `${few.toFixed(2)} MB`,
    measured: `${many.toFixed(2)} MB`,
    ratio: many / few,
    reach: { atMost: 1.1 },
  };
}

function layCells(root: string, count: number): string {
  mkdirSync(root);
  const now = Date.now();
  for (let n = 0; n < count; n++)
    layCell(root, { id: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`, now });
  return root;
}

function timed(fn: () => void): number {
  const began = performance.now();
  fn();
  return performance.now() - began;
}

function lookAndParse(root: string): void {
  for (const id of readdirSync(root)) {
    const cell = `${root}/${id}`;
    for (const path of PATHS) lstatSync(`${cell}/${path}`);
    JSON.parse(readFileSync(`${cell}/meta/mission.json`, "utf8"));
    JSON.parse(readFileSync(`${cell}/state/heartbeat.json`, "utf8"));
  }
}

function lookAtAll(root: string): void {
  const counts = noCounts();
  for (const seen of scan({ root, clock: systemClock, ...TOLERANCE })) {
    if (seen.kind === "cell") counts[seen.class]++;
  }
  if (counts.healthy !== CELLS) throw new Error(`not all are healthy: ${JSON.stringify(counts)}`);
}

const TEN_SCANS = `
const { scan } = await import(process.argv[1]);
const options = { root: process.argv[2], clock: Date, staleMs: 864e5, skewMs: 3e4 };
let left = 10 * Number(process.argv[3]);
for (let n = 0; n < 10; n++) for (const seen of scan(options)) {
  if (seen.class !== "healthy") throw new Error(seen.reason);
  if (--left > 0) continue;
  gc();
  process.stdout.write(String(process.memoryUsage().heapUsed + process.memoryUsage().external));
}
`;

function liveMb(root: string, count: number): number {
  const words = [
    "--expose-gc",
    "--import",
    "tsx",
    "--input-type=module",
    "-e",
    TEN_SCANS,
    PIT,
    root,
    String(count),
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`scanning ${root}: ${stderr}`);
  return Number(stdout) / 1e6;
}
