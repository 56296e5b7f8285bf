import type { Readable } from "node:stream";

/** Which seal is meant, and for which job of the runner. */
export interface SealRef {
  readonly row: string;
  readonly cellId: string;
}

/**
 * Where control keeps seals besides on their runners. A runner offers one by its manifest, sends what is
 * missing there, and offers it again: with nothing missing it is kept.
 * All methods throw LazarusError, retryable where another attempt may help: `disk-full`, `directory`.
 */
export interface SealPlace {
  /** Names of the files that are still missing. `manifest`: its text. */
  offer(of: SealRef, manifest: string): Promise<readonly string[]>;
  /** Sends one file of the seal that was offered last, whole. */
  send(of: SealRef, file: { readonly name: string; readonly bytes: number }, body: Readable): Promise<void>;
  /** The manifest of the seal that the job is to bring back. */
  manifest(of: SealRef): Promise<string>;
  fetch(of: SealRef, name: string): Promise<Readable>;
}
