import { sealKept } from "./cells/seal-kept.ts";
import { putStore } from "./cells/steps/store-seal.ts";
import type { Clock } from "./clock.ts";
import type { Config } from "./config/config.ts";
import { explain, LazarusError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { SealPlace } from "./protocol/seal-place.ts";
import { createBucketStore } from "./seals/bucket-store.ts";
import { createDirectoryStore } from "./seals/directory-store.ts";
import type { Kept, SealStore } from "./seals/seal-store.ts";
import type { Db } from "./store/db.ts";

/** Seals that control keeps besides on their runners. */
export interface Seals {
  readonly store: SealStore;
  /** For the runner of this process. */
  readonly local: SealPlace;
  /** A cell's seal is whole and on disk there. */
  kept(cellId: string, what: Kept): void;
  /**
   * Begins to look, now and each hour, for seals that are not kept yet, and for what nobody needs any more.
   */
  start(): void;
  stop(): void;
}

const LOOK_MS = 60 * 60_000;
/** Of one look; the next goes on. */
const MOST_AT_ONCE = 2_000;

type Limited = Pick<Config, "seals" | "limits">;

/** Null where seals are kept on their runners alone. */
export function sealStoreOf({ seals, limits }: Limited): SealStore | null {
  if (seals === null) return null;
  // Of what cannot be made smaller tar and the bundle hold the same once each.
  const mostBytes = 2 * limits.diskBytes;
  return seals.kind === "directory"
    ? createDirectoryStore({ dir: seals.dir, mostBytes, freeBytes: limits.freeBytes })
    : createBucketStore({ config: seals, mostBytes });
}

/** Has whatever is kept of a cell removed once the running transaction is committed. */
export function unkeeping(
  store: SealStore | null,
  { db, log }: { readonly db: Pick<Db, "afterCommit">; readonly log: Log },
): ((cellId: string) => void) | undefined {
  if (store === null) return undefined;
  return (cellId) => db.afterCommit(() => void remove(store, { cellId, but: null }, log));
}

async function remove(
  store: SealStore,
  { cellId, but }: { readonly cellId: string; readonly but: string | null },
  log: Log,
): Promise<void> {
  await store.remove(cellId, but).catch((error: unknown) => {
    log.warn({ cell: cellId, why: explain(error) }, "a seal could not be removed; it is tried again");
  });
}

type SealParts = Parameters<typeof sealKept>[0] &
  Parameters<typeof putStore>[0] & { readonly db: Db; readonly clock: Clock };

export function openSeals(
  store: SealStore | null,
  { parts, log }: { readonly parts: SealParts; readonly log: Log },
): Seals | null {
  if (store === null) return null;
  const { registry, db, clock } = parts;
  const { place } = store;

  const kept = (cellId: string, what: Kept): void =>
    db.transaction(() => {
      if (!sealKept(parts, cellId, { ...what, place })) return;
      db.afterCommit(() => void remove(store, { cellId, but: what.digest }, log));
    });
  const digestOf = (cellId: string): string => {
    const digest = registry.cell(cellId)?.stored?.digest;
    if (digest === undefined) throw new LazarusError("directory", "no seal of this cell is kept");
    return digest;
  };
  async function look(): Promise<void> {
    db.transaction(() => {
      for (const id of registry.runners.notKeptIn(place, MOST_AT_ONCE))
        putStore(parts, registry.mustCell(id));
    });
    if (store === null) return;
    for (const [cellId, digests] of await store.held()) {
      const cell = registry.cell(cellId);
      // Of a cell that is not known: perhaps the registry is an old one.
      if (cell === null) continue;
      const { state, stored } = cell;
      // What was begun of a cell that was brought back meanwhile is never gone on with.
      if (state === "destroyed" || (state !== "archived" && stored === null))
        await remove(store, { cellId, but: null }, log);
      else if (stored?.place === place && digests.some((one) => one !== stored.digest))
        await remove(store, { cellId, but: stored.digest }, log);
    }
  }

  let cancel = () => {};
  const again = () => {
    look().catch((error: unknown) => log.warn({ why: explain(error) }, "seals could not be looked after"));
    cancel = clock.after(LOOK_MS, again);
  };
  return {
    store,
    kept,
    local: {
      async offer({ cellId }, manifest) {
        const { missing, kept: whole } = await store.offer(cellId, manifest);
        if (whole !== null) kept(cellId, whole);
        return missing;
      },
      send: ({ cellId }, { name }, body) => store.take(cellId, name, body),
      manifest: ({ cellId }) => store.manifest(cellId, digestOf(cellId)),
      fetch: async ({ cellId }, name) => (await store.open(cellId, digestOf(cellId), name)).body,
    },
    start: again,
    stop: () => cancel(),
  };
}
