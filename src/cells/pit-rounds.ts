import type { Clock } from "../clock.ts";
import { explain } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Cell } from "./cell.ts";
import { whatIs } from "./directory.ts";
import { inSlices, noCounts, type Seen, scan } from "./pit.ts";
import { writePitHeartbeat } from "./pit-heartbeat.ts";
import type { Registry } from "./registry.ts";
import type { Standing } from "./rows.ts";
import type { Steps } from "./steps.ts";

export interface RoundsDeps {
  readonly registry: Pick<Registry, "standing" | "cell" | "update" | "transaction">;
  readonly steps: Pick<Steps, "card">;
  readonly clock: Clock;
  readonly log: Pick<Log, "info" | "warn">;
  readonly dataDir: string;
  readonly missionsDir: string;
  readonly pit: { readonly staleMs: number; readonly skewMs: number };
}

/** The pit inside `serve`: one look at all directories, compared with the registry. */
export interface Rounds {
  /** Never rejects; one that is asked for while another goes on is that one. */
  look(): Promise<void>;
  /** Ends between two slices; resolves when nothing is looked at any more. */
  stop(): Promise<void>;
}

/** How long a look may hold the event loop at a time. */
const SLICE_MS = 10;
const WITH_A_DIRECTORY = ["active", "idle", "closing", "archived"] as const;
const PAGE = 200;
const TROUBLE = "its directory is ";

/**
 * Looks at every directory under the missions root, writes the pit's heartbeat, and tells on the card of a cell when its directory is gone or damaged, and when that is over. What was seen once may have been
 * in the middle of something: only what two looks in a row saw is told. Directories of no cell of the registry, and strangers, are logged once and left alone.
 */
export function createRounds(deps: RoundsDeps): Rounds {
  const { registry, clock, log, missionsDir: root } = deps;
  const stopped = new AbortController();
  let going: Promise<void> | null = null;
  let suspected = new Map<string, string>();
  let odd = new Set<string>();
  let isBlind = false;

  const look = async () => {
    const found: Found = { counts: noCounts(), there: new Set(), damaged: new Map(), strangers: [] };
    const slices = { sliceMs: SLICE_MS, clock, signal: stopped.signal };
    // Before the first cell nobody has made the root.
    const isAnyMade = WITH_A_DIRECTORY.some((state) => registry.standing(state, 0, 1).length > 0);
    if (isAnyMade || (await whatIs(root)) !== "nothing")
      await inSlices(scan({ root, clock, ...deps.pit }), slices, (one) => note(one, found));
    // Asked after the look: what was moved meanwhile is as it is now.
    const troubles = new Map<string, string>();
    const known = new Set<string>();
    await inSlices(everyCell(registry), slices, (cell) => {
      known.add(cell.id);
      const trouble = troubleOf(cell, found);
      const isSure = trouble === null || suspected.get(cell.id) === trouble;
      if (isSure && isNews(cell, trouble)) tell(cell.id, { trouble, found }, deps);
      if (trouble !== null) troubles.set(cell.id, trouble);
    });
    suspected = troubles;
    const strange = new Set(found.strangers);
    for (const id of found.there)
      if (!known.has(id) && registry.cell(id) === null) strange.add(`${id}: no cell of the registry`);
    for (const one of strange)
      if (!odd.has(one)) log.warn({ root, what: one }, "the missions root holds what is no cell of ours");
    odd = strange;
    await writePitHeartbeat(deps.dataDir, { at: clock.now(), state: "running", root, counts: found.counts });
    if (isBlind) log.info({ root }, "the missions root can be looked at again");
    isBlind = false;
  };

  return {
    look() {
      going ??= look()
        .catch((error: unknown) => {
          if (!isBlind && !stopped.signal.aborted)
            log.warn({ root, why: explain(error) }, "the pit could not look; it looks again");
          isBlind = true;
        })
        .finally(() => {
          going = null;
        });
      return going;
    },
    async stop() {
      stopped.abort();
      await going;
    },
  };
}

/** A page at a time, each as it is when it is asked for. */
function* everyCell(registry: Pick<Registry, "standing">): Generator<Standing> {
  for (const state of WITH_A_DIRECTORY) {
    let page = registry.standing(state, 0, PAGE);
    while (page.length > 0) {
      yield* page;
      page = registry.standing(state, page.at(-1)?.row ?? 0, PAGE);
    }
  }
}

interface Found {
  readonly counts: ReturnType<typeof noCounts>;
  readonly there: Set<string>;
  /** Why, by cell. */
  readonly damaged: Map<string, string>;
  readonly strangers: string[];
}

function note(one: Seen, found: Found): void {
  if (one.kind === "stranger") {
    found.strangers.push(`${one.path}: ${one.what}`);
    return;
  }
  const id = one.id.toLowerCase();
  found.counts[one.class]++;
  found.there.add(id);
  if (one.class === "incomplete" || one.class === "uninitialized") found.damaged.set(id, one.reason);
}

/** Null: its directory is as it must be, or there need not be any. */
function troubleOf(cell: Pick<Cell, "id" | "state" | "sealedAt" | "closing">, found: Found): string | null {
  const isNeverMade = cell.state === "archived" && cell.sealedAt === null;
  if (isNeverMade || cell.closing?.thenDestroy) return null;
  if (!found.there.has(cell.id)) return `${TROUBLE}gone`;
  const why = found.damaged.get(cell.id);
  return why === undefined ? null : `${TROUBLE}damaged: ${why}`;
}

function isNews(cell: Pick<Cell, "reason">, trouble: string | null): boolean {
  return trouble === null ? cell.reason?.startsWith(TROUBLE) === true : cell.reason !== trouble;
}

/** Others had their turn since the cell was read: of one that is being destroyed, or was, nothing is told any more. */
function tell(
  cellId: string,
  { trouble, found }: { readonly trouble: string | null; readonly found: Found },
  { registry, steps, log }: RoundsDeps,
): void {
  const cell = registry.cell(cellId);
  const isStill = WITH_A_DIRECTORY.some((state) => state === cell?.state);
  if (cell === null || !isStill || troubleOf(cell, found) !== trouble || !isNews(cell, trouble)) return;
  registry.transaction(() => {
    registry.update(cellId, { reason: trouble });
    steps.card(cellId);
  });
  if (trouble !== null) log.warn({ cell: cellId, why: trouble }, "a cell's directory is not as it must be");
}
