import type { Readable } from "node:stream";

/** What control keeps of a cell's seal. */
export interface Kept {
  readonly digest: string;
  readonly bytes: number;
}

/**
 * Where control keeps seals besides on their runners. Under its final name a seal is whole, of the hashes
 * that its manifest says, and on disk; what is read is compared with them again. All methods throw
 * LazarusError.
 */
export interface SealStore {
  /** Which one it is: seals that are kept in another are handed over anew. */
  readonly place: string;
  /** Takes a manifest, and answers what is missing of its seal. With nothing missing the seal is kept. */
  offer(
    cellId: string,
    manifest: string,
  ): Promise<{ readonly missing: readonly string[]; readonly kept: Kept | null }>;
  /** Takes one file of the seal that was offered last; kept only if it is what the manifest says. */
  take(cellId: string, name: string, body: Readable): Promise<void>;
  manifest(cellId: string, digest: string): Promise<string>;
  open(
    cellId: string,
    digest: string,
    name: string,
  ): Promise<{ readonly body: Readable; readonly bytes: number }>;
  /** Removes whatever is kept of a cell but the seal of this digest (null: all). */
  remove(cellId: string, but: string | null): Promise<void>;
  /** Of each cell that anything lies there of, the digests of that; null: it is on its way, or was. */
  held(): Promise<ReadonlyMap<string, readonly (string | null)[]>>;
  /** Writes, reads and removes something small; answers what had better be otherwise, in words. */
  probe(): Promise<readonly string[]>;
}
