import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import Database from "better-sqlite3";
import { explain } from "../../src/errors.ts";
import type { Stage, Thread } from "../e2e/stage.ts";
import type { Play } from "./model/script.ts";
import type { PretendedModel } from "./model/server.ts";
import { type Seen, wrongIn } from "./plays.ts";

/** Real agents take their time, and a busy machine many times that. */
const PATIENCE_MS = 900_000;
const LOOK_MS = 1_500;

/** One agent in one backend, on a stage whose Lazarus serves it. */
export interface Booking {
  readonly stage: Stage;
  readonly model: PretendedModel;
  readonly agent: string;
  readonly version: string;
  readonly backend: string;
  /** The name it has in the configuration where its clock is short. */
  readonly hasty: string;
  /** Lets few runs live at one time. */
  turn<T>(run: () => Promise<T>): Promise<T>;
  say(line: string): void;
}

const ALONE = ["unauthorized", "limited", "no-credit", "overloaded", "hang"] as const;

export interface Toured {
  readonly seen: readonly Seen[];
  /** What did not come to its end, and why. */
  readonly broken: readonly string[];
}

/** Takes an agent through everything. */
export async function tour(booking: Booking, plays: ReadonlySet<Play>): Promise<Toured> {
  const alone = (play: Play) => async (note: Note) => {
    note(await one(booking, play, play === "hang" ? booking.hasty : booking.agent));
  };
  const parts: readonly (readonly [Play, (note: Note) => Promise<void>])[] = [
    ["work", (note) => workAndRevive(booking, note)],
    ["question", (note) => questionAndAnswer(booking, note)],
    ...ALONE.map((play) => [play, alone(play)] as const),
  ];
  const seen: Seen[] = [];
  const broken: string[] = [];
  const wanted = parts.filter(([play]) => plays.has(play));
  const ends = wanted.map(([play, part]) =>
    booking
      .turn(() =>
        part((run) => {
          seen.push(run);
          const wrong = wrongIn(run).map((what) => `, WRONG: ${what}`);
          if (wrong.length > 0) booking.say(`the end of its log: ${run.logEnd}`);
          booking.say(`${run.agent} in ${run.backend}: ${run.play} is ${run.exit}${wrong.join("")}`);
        }),
      )
      .catch((error: unknown) => {
        broken.push(`${booking.agent} in ${booking.backend}, ${play}: ${explain(error)}`);
      }),
  );
  await Promise.all(ends);
  return { seen, broken };
}

type Note = (run: Seen) => void;

/** Work, then the archive, then new words in the same session. */
async function workAndRevive(booking: Booking, note: Note): Promise<void> {
  const { stage, agent } = booking;
  const { issue, cellId } = await summon(booking, "work", agent);
  note(await look(booking, { play: "work", run: 1, agent, cellId, issue }));
  await command(booking, issue, "/lazarus close");
  await settled(stage, cellId, (cell) => cell.state === "archived");
  await command(booking, issue, "/lazarus revive -- Do one thing more. play: again");
  note(await look(booking, { play: "again", run: 2, agent, cellId, issue }));
}

/** A question, and its answer in the same cell and session. */
async function questionAndAnswer(booking: Booking, note: Note): Promise<void> {
  const { agent } = booking;
  const { issue, cellId } = await summon(booking, "question", agent);
  note(await look(booking, { play: "question", run: 1, agent, cellId, issue }));
  await command(booking, issue, `/lazarus tell ${cellId.slice(0, 8)} It should be blue. play: answer`);
  note(await look(booking, { play: "answer", run: 2, agent, cellId, issue }));
}

async function one(booking: Booking, play: Play, agent: string): Promise<Seen> {
  const { issue, cellId } = await summon(booking, play, agent);
  return look(booking, { play, run: 1, agent, cellId, issue });
}

async function summon({ stage, say, backend }: Booking, play: Play, agent: string) {
  const issue = await stage.openIssue(`${agent}: ${play}`, {
    body: `Let the greeting work.\n\nplay: ${play}`,
  });
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  const cellId = await stage.cellId(issue);
  say(`${agent} in ${backend}: ${play}, cell ${cellId.slice(0, 8)}`);
  return { issue, cellId };
}

/** Types as the director and waits until it is done. Throws with the bot's words where it is refused. */
async function command({ stage }: Booking, issue: Thread, text: string): Promise<void> {
  const id = await stage.type(stage.lead, issue, text);
  for (const end = performance.now() + PATIENCE_MS; ; await pause(LOOK_MS)) {
    const all = (await stage.server.reactions(stage.repo, id)).map((one) => one.content);
    if (all.includes("rocket")) return;
    if (all.includes("confused") || performance.now() > end)
      throw new Error(`${text}: ${(await stage.replies(issue)).at(-1) ?? "no answer"}`);
  }
}

interface RunOf {
  /** Its name in the configuration. */
  readonly agent: string;
  readonly play: Play;
  readonly run: number;
  readonly cellId: string;
  readonly issue: Thread;
}

/** Waits for a run's end and says what there is to see of it. */
async function look(booking: Booking, of: RunOf): Promise<Seen> {
  const { stage, model, agent, version, backend } = booking;
  const exit = await exitOf(stage, of);
  await settled(stage, of.cellId, (one) => one.state === "idle");
  const scenes = model.asked
    .filter((one) => one.tag === `${agent}-${backend}`)
    .flatMap((one) => (one.scene?.play === of.play ? [one.scene] : []));
  const results = scenes.map((scene) => scene.results).sort((a, b) => b.length - a.length)[0] ?? [];
  const subjects = await subjectsIn(stage, of.cellId);
  const faults = subjects.some((one) => /left uncommitted/.test(one)) ? ["left files uncommitted"] : [];
  if (scenes.length === 0) faults.push("never asked the model");
  if (of.play === "work") faults.push(...(await faultsOfWork(stage, of.cellId, results)));
  return {
    ...{ agent, version, backend, play: of.play, faults },
    exit,
    commands: results.length,
    commits: subjects.filter((one) => !/left uncommitted/.test(one)).length,
    isResumed: scenes.some((scene) => scene.isResumed),
    logEnd: (await stage.lazarus.readCell(of.cellId, `logs/${of.agent}-${of.run}.log`)).trim().slice(-600),
    words: headline((await stage.cards(of.issue)).at(-1)?.body ?? "", of.cellId),
  };
}

/** The test failed, then passed, and there is a report. */
async function faultsOfWork(stage: Stage, cellId: string, results: readonly string[]): Promise<string[]> {
  const report = join(stage.lazarus.missionsDir, cellId, "artifacts/reports/report.md");
  return [
    ...(/ERR_MODULE_NOT_FOUND/.test(results[0] ?? "") ? [] : [`the failing test said: ${short(results[0])}`]),
    ...(/pass 1\b/.test(results[2] ?? "") ? [] : [`the passing test said: ${short(results[2])}`]),
    ...(await access(report).then(
      () => [],
      () => ["left no report"],
    )),
  ];
}

function short(text: string | undefined): string {
  return (text ?? "nothing").trim().replace(/\s+/g, " ").slice(0, 120);
}

/** Commits of the worktree since its base. */
async function subjectsIn({ lazarus }: Stage, cellId: string): Promise<string[]> {
  const wiring = JSON.parse(await lazarus.readCell(cellId, "config/cell.json")) as { base_commit: string };
  const words = ["-c", "safe.directory=*", "log", "--format=%s", `${wiring.base_commit}..HEAD`];
  const cwd = join(lazarus.missionsDir, cellId, "worktree");
  const { stdout } = await promisify(execFile)("git", words, { cwd });
  return stdout.split("\n").filter((line) => line !== "");
}

/** The first line of a card, as people see it. */
function headline(card: string, cellId: string): string {
  const line = card.replace(/^<!--.*-->\n/, "").split("\n")[0] ?? "";
  return line
    .replace(/ · cell `.*/, "")
    .replaceAll(cellId.slice(0, 8), "CELL")
    .replace(/\d+(?= s\b)/g, "n");
}

/**
 * What a run turned out to be. `status` tells that of the last one that ended, which may be the one before.
 */
async function exitOf({ lazarus }: Stage, { cellId, run }: RunOf): Promise<string> {
  const registry = new Database(join(lazarus.dataDir, "lazarus.db"), { readonly: true });
  try {
    const ask = registry.prepare("SELECT exit_class FROM runs WHERE cell = ? AND n = ?").pluck();
    const refused = registry
      .prepare("SELECT stopped FROM runs WHERE cell = ? AND n = ? AND stop_cause = 'refused'")
      .pluck();
    for (const end = performance.now() + PATIENCE_MS; ; await pause(LOOK_MS)) {
      const exit = ask.get(cellId, run);
      if (typeof exit === "string") return exit;
      const why = refused.get(cellId, run);
      if (typeof why === "string") throw new Error(`run ${run} was not started: ${why}`);
      if (performance.now() > end) throw new Error(`run ${run} of cell ${cellId} did not end`);
    }
  } finally {
    registry.close();
  }
}

type Cell = Record<string, unknown>;

async function settled(stage: Stage, cellId: string, isIt: (cell: Cell) => boolean): Promise<Cell> {
  for (const end = performance.now() + PATIENCE_MS; ; await pause(LOOK_MS)) {
    const cell = await stage.status(cellId).catch(() => null);
    if (cell !== null && isIt(cell)) return cell;
    if (performance.now() > end)
      throw new Error(
        `cell ${cellId} did not get there: ${JSON.stringify(cell)}\n${stage.lazarus.log.slice(-1_000)}`,
      );
  }
}
