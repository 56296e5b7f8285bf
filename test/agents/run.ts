/**
 * `npm run try-agents`: the real agents, at a pretended model, through a whole Lazarus. Prints a table; exit
 * code 1 where a cell is wrong. `--dir DIR` takes what is installed there; `--agent NAME`, `--backend NAME`,
 * `--play NAME` (each may be repeated) do less; `--docs` renews docs/agents.md.
 */
import { chmod, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import build from "../global-setup.ts";
import { PLAYS, type Play } from "./model/script.ts";
import { startModel } from "./model/server.ts";
import { type Seen, wrongIn } from "./plays.ts";
import {
  binDir,
  cacheDir,
  ELSEWHERE,
  type Installed,
  install,
  lastLine,
  PROGRAM_NAMES,
  unableIn,
  versionOf,
} from "./programs.ts";
import { setStage } from "./set-stage.ts";
import { blockOf, tableOf, writeBlock } from "./table.ts";
import { tour } from "./tour.ts";
import { turnstile } from "./turnstile.ts";

const several = { type: "string", multiple: true } as const;
const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    agent: several,
    backend: several,
    play: several,
    docs: { type: "boolean", default: false },
    "at-once": { type: "string", default: "3" },
    "keep-log": { type: "boolean", default: false },
  },
});

const began = performance.now();
const say = (line: string) =>
  process.stderr.write(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${line}\n`);

const cache = cacheDir(process.env);
const dir = values.dir === undefined ? cache : resolve(values.dir);
const names = PROGRAM_NAMES.filter((name) => values.agent?.includes(name) ?? true);
const missing = new Map<string, string>(Object.entries(ELSEWHERE));
if (values.dir === undefined)
  for (const [name, why] of await install(dir, names, say)) missing.set(name, why);
const installed: Installed[] = [];
for (const name of names) {
  if (missing.has(name)) continue;
  await versionOf(dir, name).then(
    (version) => installed.push({ name, version }),
    (error: unknown) => missing.set(name, `it cannot be run: ${lastLine(error)}`),
  );
}

// Cells lie where each cell's own user gets, and not below /tmp, where codex keeps no programs of its own.
const work = join(cache, "work");
await mkdir(work, { recursive: true });
await chmod(work, 0o711);
process.env.TMPDIR = work;
process.env.PATH = `${binDir(dir)}:${process.env.PATH ?? ""}`;
await build();

const plays = new Set<Play>(PLAYS.filter((play) => values.play?.includes(play) ?? true));
const seen: Seen[] = [];
const broken: string[] = [];
for (const backend of ["sandbox", "process"].filter((name) => values.backend?.includes(name) ?? true)) {
  const model = await startModel();
  const stage = await setStage({ backend, dir, model, installed, say });
  const turn = turnstile(Number(values["at-once"]));
  try {
    const able = installed.filter(({ name }) => unableIn(name, backend) === null);
    const tours = able.map(({ name, version }) =>
      tour({ stage, model, agent: name, version, backend, hasty: `${name}-hasty`, turn, say }, plays),
    );
    for (const end of await Promise.all(tours)) {
      seen.push(...end.seen);
      broken.push(...end.broken);
    }
  } finally {
    if (values["keep-log"]) process.stderr.write(stage.lazarus.log);
    await stage.strike();
    await model.stop();
  }
}

const unable = installed.flatMap(({ name }) =>
  unableIn(name, "process") === null
    ? []
    : [`${name} was not tried in process: ${unableIn(name, "process")}`],
);
const notHad = [...[...missing].map(([name, why]) => `${name} was not tried: ${why}`), ...unable];
process.stdout.write(`${tableOf(seen)}\n`);
for (const line of broken) process.stdout.write(`WRONG: ${line}\n`);
for (const line of notHad) process.stdout.write(`NOT TRIED: ${line}\n`);
if (seen.length === 0 || broken.length > 0 || seen.some((one) => wrongIn(one).length > 0))
  process.exitCode = 1;
if (values.docs) {
  const date = new Date().toISOString().slice(0, 10);
  await writeBlock(
    resolve(import.meta.dirname, "../../docs/agents.md"),
    blockOf(seen, { date, missing: notHad }),
  );
}
