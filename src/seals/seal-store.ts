import type { Readable } from "node:stream";

/** What control keeps of a cell's seal. */
export interface Kept {
  readonly digest: string;
  readonly bytes: number;
}

/**
 * Where control keeps seals besides on their runners. Under its final name a seal is whole, of the hashes
 * that its manifest says, and on disk. All methods throw LazarusError.
 */
export interface SealStore {
  /** For people: a directory. */
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
  /** Ids of the cells that something is kept of. */
  cells(): Promise<readonly string[]>;
}
