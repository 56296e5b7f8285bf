import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { AnyReport } from "../protocol/reports.ts";
import type { RunnerFacts, RunnerStanding } from "../protocol/runner-facts.ts";
import type { RunnerJob, RunnerPort, Watched } from "../protocol/runner-port.ts";
import type { GitPass } from "./messages.ts";
import type { Post } from "./post.ts";

/** What a runner is told when it is welcomed. */
export interface Welcome {
  /** Null: it must not remove anything, since nobody knows what is whose. */
  readonly knownIds: readonly string[];
  readonly watched: Watched;
  readonly policy: object;
}

export interface RemotePortOptions {
  readonly name: string;
  readonly post: Post;
  /** This start of control: higher than any before. */
  readonly epoch: number;
  readonly clock: Clock;
  readonly log: Log;
  /** The key of the way to the runner, and from it, by generation; null where that one holds no more. */
  keyTo(generation: number): Uint8Array | null;
  keyFrom(generation: number): Uint8Array | null;
  /** With which it is spoken to. */
  generation(): number;
  /** The process that was known last, of an earlier start of control; null: none. */
  readonly lastIncarnation: string | null;
  welcome(): Welcome;
  /** What it is to watch, and is not among these keys. */
  unwatched(known: ReadonlySet<string>): Watched;
  /** Of both gates. */
  passesFor(job: RunnerJob): { readonly passes: GitPass[]; readonly sealPass: string | null };
  /** Whether a job's row is at work in this attempt, as the job log has it. */
  isAtWork(row: string, attempt: number): boolean;
  /** Whether a cell lies on this runner: of any other it is not heard. */
  isOurs(cellId: string): boolean;
  /** Writes down what it says, in one transaction. */
  report(reports: readonly AnyReport[]): void;
  /** It joined, beats, or is heard no more. */
  changed(state: RemoteState, what: "joined" | "beat" | "gone"): void;
}

/** How a runner elsewhere is, as far as it is heard. */
export interface RemoteState {
  readonly incarnation: string | null;
  readonly facts: RunnerFacts | null;
  readonly standing: RunnerStanding | null;
  /** Its clock less ours, in ms. */
  readonly skewMs: number;
  /** How long it has not been heard, in ms; null: not since control was started. */
  readonly silentMs: number | null;
  readonly isHere: boolean;
  /** Messages that nobody with its key sealed, or that fit nothing. */
  readonly dropped: number;
  /** Two processes claim to be it. */
  readonly isDoubled: boolean;
}

export interface RemotePort extends RunnerPort {
  state(): RemoteState;
  /** A cell left it: what it does with it is not waited for any more, but that it lets go of it. */
  leave(cellId: string): void;
  /** Nobody waits for it any more: its jobs fail for good. */
  giveUp(why: string): void;
}
