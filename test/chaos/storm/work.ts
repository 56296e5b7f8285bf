import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ExitClass } from "../../../src/cells/exit.ts";
import { isInterrupted } from "../../../src/cells/prompt.ts";
import { TRACES } from "./agents.ts";
import { missionOf } from "./hosts.ts";
import type { Ledger } from "./ledger.ts";
import { namesIn } from "./obituary.ts";
import { type Ask, type CellRow, peek } from "./peek.ts";
import type { World } from "./world.ts";

/** What turns, points of reviews, checks, visits and proposals came to. */
export interface Work {
  readonly lost: string[];
  readonly doubled: string[];
  readonly left: string[];
}

interface Rows {
  readonly cells: readonly CellRow[];
  readonly runs: readonly {
    readonly cell: string;
    readonly n: number;
    readonly turn: number;
    readonly turn_kind: string;
    readonly state: string;
    readonly exit_class: string | null;
    readonly stop_cause: string | null;
    readonly automatic: number;
    readonly role: string;
    readonly started_at: number | null;
  }[];
  readonly items: readonly {
    readonly cell: string;
    readonly n: number;
    readonly kind: string;
    readonly review: number;
    readonly pull: number;
    readonly state: string;
    readonly turn: number | null;
    readonly verdict: string | null;
    readonly answer_due: number;
    readonly why: string | null;
  }[];
  readonly checks: readonly {
    readonly cell: string;
    readonly n: number;
    readonly name: string;
    readonly tip: string;
    readonly state: string;
  }[];
  readonly visits: readonly {
    readonly cell: string;
    readonly n: number;
    readonly agent: string;
    readonly run: number | null;
    readonly dropped: number;
  }[];
  readonly team: readonly { readonly cell: string; readonly agent: string; readonly run: number | null }[];
  readonly proposals: readonly {
    readonly full_name: string;
    readonly number: number;
    readonly cell: string;
    readonly state: string;
  }[];
  readonly messages: readonly { readonly cell: string; readonly said: string; readonly state: string }[];
  readonly prompts: readonly {
    readonly cell: string;
    readonly turn: number;
    /** Null where the cell is destroyed. */
    readonly text: string | null;
    readonly exit_class: ExitClass | null;
  }[];
  readonly quiet: readonly { readonly repository: number; readonly number: number }[];
  /** Cells that were closing at some time. */
  readonly closed: ReadonlySet<string>;
}

function read(ask: Ask): Rows {
  const closed = ask<{ cell: string }>(
    `SELECT DISTINCT cell FROM history WHERE "to" IN ('closing', 'archived')`,
  );
  return {
    cells: ask("SELECT * FROM cells ORDER BY seq"),
    runs: ask("SELECT * FROM runs ORDER BY cell, n"),
    items: ask("SELECT * FROM items ORDER BY cell, n"),
    checks: ask("SELECT * FROM checks ORDER BY cell, n"),
    visits: ask("SELECT * FROM visits ORDER BY cell, n"),
    team: ask("SELECT * FROM team ORDER BY cell, place"),
    proposals: ask("SELECT * FROM proposals"),
    messages: ask("SELECT cell, said, state FROM messages"),
    prompts: ask(
      "SELECT prompts.cell, runs.turn, prompts.text, runs.exit_class FROM prompts JOIN runs ON runs.cell = prompts.cell AND runs.n = prompts.run",
    ),
    quiet: ask("SELECT repository, number FROM quiet"),
    closed: new Set(closed.map((one) => one.cell)),
  };
}

/** Compares what people asked of cells with what became of it. Lazarus must be at rest. */
export async function lookAtWork(world: World, ledger: Ledger): Promise<Work> {
  const rows = peek(world.dataDir, read);
  const found: Work = { lost: [], doubled: [], left: [] };
  if (rows === null) return { ...found, left: ["the registry cannot be read"] };
  together(world, found);
  turns(rows, found);
  checks(world, rows, found);
  await points(world, { rows, ledger }, found);
  await visits(world, rows, found);
  await proposals(world, { rows, ledger }, found);
  return found;
}

/** Whoever worked in a cell while another one did was seen by it, and wrote it down. */
function together(world: World, found: Work): void {
  const lines = readFileSync(join(world.lazarus.dir, "out", TRACES.together), "utf8").split("\n");
  for (const line of lines.filter((one) => one !== "")) found.doubled.push(`two at once in cell ${line}`);
}

/** Whether something that waits in a cell begins by itself: nobody must let it go on first. */
function goesOn(cell: CellRow, { runs, quiet }: Rows): boolean {
  const own = runs.filter((run) => run.cell === cell.id && run.state !== "withdrawn");
  const numbers = [cell.number, cell.pull_request];
  const isQuiet = quiet.some((one) => one.repository === cell.repository && numbers.includes(one.number));
  const isResting = new Set(own.map((run) => run.turn)).size >= MOST_TURNS;
  // Whoever stops an agent, or takes it out of the line, wants it to rest.
  const isStopped =
    own.findLast((run) => run.role !== "observer")?.stop_cause === "asked" ||
    runs.findLast((run) => run.cell === cell.id)?.state === "withdrawn";
  const isHeld = cell.stuck !== null || cell.breaker !== null || cell.closing !== null;
  return cell.state === "idle" && !isHeld && !isStopped && !isQuiet && !isResting;
}

/** `limits.turns` where nobody says otherwise. */
const MOST_TURNS = 20;

/** A cell begins once; its team goes on as long as each comes to a good end; nothing is told twice. */
function turns(rows: Rows, found: Work): void {
  for (const cell of rows.cells) {
    const own = rows.runs.filter((run) => run.cell === cell.id);
    // A proposal that is edited before its run began asks anew.
    const began = own.filter((run) => run.state !== "withdrawn" || run.started_at !== null);
    const first = began.filter((run) => run.turn_kind === "first" && run.automatic === 0);
    if (first.length > 1) found.doubled.push(`cell ${cell.id} began ${first.length} times`);
    const last = own.findLast((run) => run.state === "ended" && run.role !== "observer");
    const isGood = last?.exit_class === "done" || last?.exit_class === "nothing-changed";
    const next = rows.team.find((one) => one.cell === cell.id && one.run === null);
    if (next !== undefined && isGood && goesOn(cell, rows))
      found.lost.push(`cell ${cell.id}: the turn of ${next.agent} never came`);
  }
  for (const { cell: id, said, state } of rows.messages) {
    const cell = rows.cells.find((one) => one.id === id);
    if (state === "waiting" && cell !== undefined && goesOn(cell, rows))
      found.lost.push(`cell ${id}: "${said}" waits, and no turn begins`);
    // Words that an agent may not have read to the end, since it was interrupted, are told again.
    const told = rows.prompts.filter(
      (one) =>
        one.cell === id && new RegExp(`\\b${said}\\b`).test(one.text ?? "") && !isInterrupted(one.exit_class),
    );
    const count = new Set(told.map((one) => one.turn)).size;
    if (count > 1) found.doubled.push(`cell ${id}: "${said}" was given in ${count} turns`);
  }
}

function checks(world: World, rows: Rows, found: Work): void {
  for (const { cell, n, name, state } of rows.checks)
    if (["waiting", "running"].includes(state))
      found.left.push(`cell ${cell}: check ${n} (${name}) is ${state}`);
  for (const cell of rows.cells) {
    for (const name of notChecked(cell, rows)) found.lost.push(`cell ${cell.id}: ${name} was never run`);
    if (cell.state === "destroyed") continue;
    const dir = missionOf(world, cell);
    for (const name of namesIn(join(dir, "guests")))
      found.left.push(`cell ${cell.id}: guests/${name} is there`);
    for (const name of namesIn(join(dir, "checks")).filter((one) => one.startsWith(".")))
      found.left.push(`cell ${cell.id}: checks/${name} is there`);
  }
}

/** Checks of what a cell has on the forge that did not come to an end, though nobody stopped them. */
function notChecked(cell: CellRow, rows: Rows): string[] {
  const { published_tip: tip, checked, state, stuck, closing } = cell;
  if (state !== "idle" || stuck !== null || closing !== null || tip === null || !isPublished(cell)) return [];
  interface Found {
    readonly tip: string;
    readonly plan: readonly { readonly name: string }[];
    readonly trouble: string | null;
    readonly stopped: string | null;
  }
  const planned = JSON.parse(checked ?? "null") as Found | null;
  if (planned?.tip !== tip) return ["what is to be checked"];
  if (planned.trouble !== null || planned.stopped !== null) return [];
  const isOver = (name: string) =>
    rows.checks.some(
      (one) => one.cell === cell.id && one.tip === tip && one.name === name && one.state !== "superseded",
    );
  return planned.plan.map((one) => one.name).filter((name) => !isOver(name));
}

/**
 * Each point of a review was written down once, and answered once or is open for a reason; what was answered
 * stands on the draft in one post.
 */
async function points(
  world: World,
  { rows, ledger }: { readonly rows: Rows; readonly ledger: Ledger },
  found: Work,
): Promise<void> {
  const cells = new Map(rows.cells.map((cell) => [cell.id, cell]));
  for (const { cell: id, n, kind, state, turn, verdict, answer_due, why } of rows.items) {
    const cell = cells.get(id);
    const what = `cell ${id}: point ${n}`;
    if (cell === undefined || cell.state !== "idle") continue;
    if (state === "given") found.left.push(`${what} was given in turn ${turn}, and is not settled`);
    if (answer_due === 1 && cell.pull_request !== null && isPublished(cell))
      found.lost.push(`${what}: its answer of turn ${turn} was never posted`);
    if (state === "withdrawn" && why === null) found.left.push(`${what} was withdrawn, and nobody knows why`);
    if (state === "answered" && verdict === null && kind !== "remark")
      found.left.push(`${what} is answered without an answer`);
    if (state === "open" && kind !== "remark" && turn === null && goesOn(cell, rows))
      found.lost.push(`${what} waits, and no turn begins`);
  }
  for (const review of ledger.reviews) {
    const { repo, number, id, by, points: asked } = review;
    const taken = rows.items.filter(
      (one) => one.review === id && one.kind !== "remark" && cells.get(one.cell)?.full_name === repo,
    ).length;
    const what = `${repo}#${number} review ${id} by ${by}`;
    if (taken > asked) found.doubled.push(`${what}: ${taken} points of ${asked}`);
    const cell = rows.cells.find((one) => one.full_name === repo && one.pull_request === number);
    // What is closing, or was closed, takes no points.
    if (taken < asked && cell?.state === "idle" && !rows.closed.has(cell.id) && cell.closing === null)
      found.lost.push(`${what}: ${taken} of ${asked} points were taken`);
  }
  const pulls = new Map(
    rows.items.map((one) => [`${one.cell} ${one.pull}`, { cell: cells.get(one.cell), pull: one.pull }]),
  );
  for (const { cell, pull } of pulls.values()) {
    if (cell === undefined) continue;
    const posts = new Map<string, number>();
    for (const mark of await ownMarks(world, cell.full_name, pull))
      posts.set(mark, (posts.get(mark) ?? 0) + 1);
    for (const [mark, count] of posts)
      if (/^(answers|item):/.test(mark) && count > 1)
        found.doubled.push(`${cell.full_name}#${pull}: ${mark} was posted ${count} times`);
    const answered = rows.items.filter(
      (one) => one.cell === cell.id && one.pull === pull && one.state === "answered" && one.kind !== "remark",
    );
    for (const turn of new Set(answered.map((one) => one.turn)))
      if (cell.state === "idle" && isPublished(cell) && !posts.has(`answers:${cell.id}:${turn}`))
        found.lost.push(`${cell.full_name}#${pull}: the answers of turn ${turn} were never posted`);
  }
}

/** All of what was made is on the forge: nothing of it is held back. */
function isPublished({ harvest, published_tip }: CellRow): boolean {
  const { tip, heldBack } = JSON.parse(harvest ?? "{}") as { tip?: string | null; heldBack?: string[] };
  return (heldBack ?? []).length === 0 && ((tip ?? null) === null || tip === published_tip);
}

/** The markers of all that the bot wrote on a thread; on a pull request also in reviews, and at lines. */
async function ownMarks(world: World, repo: string, number: number): Promise<string[]> {
  const { server, bot } = world;
  const bodies = (await server.comments(repo, number)).filter((one) => one.author === bot.login);
  const path = `/repos/${repo}/pulls/${number}/reviews`;
  interface Said {
    readonly id: number;
    readonly body: string;
    readonly user: { readonly login: string } | null;
  }
  const isOurs = ({ user }: Said) => user?.login === bot.login;
  const lists = await listed<Said>(world, path);
  // Where a forge has replies in threads, ours stand among the comments of somebody else's review.
  const lines = await Promise.all(lists.map(({ id }) => listed<Said>(world, `${path}/${id}/comments`)));
  const all = [...bodies, ...lists.filter(isOurs), ...lines.flat().filter(isOurs)];
  return all.flatMap(({ body }) => /^<!-- lazarus:(\S+) -->/.exec(body)?.[1] ?? []);
}

/** All pages of a list; nothing where there is none. */
async function listed<T>({ server }: World, path: string): Promise<T[]> {
  const found: T[] = [];
  for (let page = 1; ; page++) {
    const { status, json } = await server.api(server.admin, "GET", `${path}?limit=50&page=${page}`);
    if (status !== 200) return found;
    found.push(...(json as T[]));
    if ((json as T[]).length < 50) return found;
  }
}

/** Each visit came to its turn, or never will; each reported at most once. */
async function visits(world: World, rows: Rows, found: Work): Promise<void> {
  for (const { cell: id, agent, run, dropped } of rows.visits) {
    const cell = rows.cells.find((one) => one.id === id);
    if (cell !== undefined && run === null && dropped === 0 && goesOn(cell, rows))
      found.lost.push(`cell ${id}: ${agent} was invited to look, and never did`);
  }
  const threads = new Map<string, { repo: string; number: number }>();
  for (const id of new Set(rows.visits.map((one) => one.cell))) {
    const cell = rows.cells.find((one) => one.id === id);
    for (const number of [cell?.number, cell?.pull_request])
      if (cell !== undefined && number)
        threads.set(`${cell.full_name}#${number}`, { repo: cell.full_name, number });
  }
  const reports = new Map<string, number>();
  for (const { repo, number } of threads.values())
    for (const mark of await ownMarks(world, repo, number))
      if (mark.startsWith("report:")) reports.set(mark, (reports.get(mark) ?? 0) + 1);
  for (const [mark, count] of reports) if (count > 1) found.doubled.push(`${mark} was posted ${count} times`);
}

/** Each proposal was answered: by what is in its way, once, or by the card of its plan. */
async function proposals(
  world: World,
  { rows, ledger }: { readonly rows: Rows; readonly ledger: Ledger },
  found: Work,
): Promise<void> {
  for (const { repo, number } of ledger.proposals) {
    const row = rows.proposals.find((one) => one.full_name === repo && one.number === number);
    const what = `${repo}#${number}, a proposal`;
    const marks = await ownMarks(world, repo, number);
    const told = marks.filter((mark) => mark.startsWith("proposal:")).length;
    const card = row === undefined ? 0 : marks.filter((mark) => mark === `card:${row.cell}`).length;
    if (row === undefined) found.lost.push(`${what}: nobody read it`);
    else if (told + card === 0) found.lost.push(`${what} (${row.state}): it has no answer`);
    // One that was closed and reopened begins anew.
    if (told > 1) found.doubled.push(`${what}: what is in its way stands there ${told} times`);
    if (card > 1) found.doubled.push(`${what}: ${card} cards of one plan`);
    if (told > 0 && card > 0) found.left.push(`${what}: its comment stands beside its card`);
  }
}
