import type { Cell, Requester, Role } from "../cells/cell.ts";
import type { GoingOn } from "../cells/going-on.ts";
import type { Inviting } from "../cells/inviting.ts";
import type { Lifecycle } from "../cells/lifecycle.ts";
import type { Proposing } from "../cells/proposing.ts";
import type { Registry } from "../cells/registry/registry.ts";
import type { Renames } from "../cells/renames.ts";
import type { Reviewing } from "../cells/reviewing.ts";
import type { Steps } from "../cells/steps/steps.ts";
import type { Telling } from "../cells/telling.ts";
import type { Clock } from "../clock.ts";
import type { Config } from "../config/config.ts";
import type { Forge } from "../gitea/port.ts";
import type { Asker } from "../protocol/asker.ts";
import type { RepositoryRef } from "../protocol/shapes.ts";
import type { Queue } from "../queue/queue.ts";
import type { Rights } from "./rights.ts";
import type { Sentence } from "./words/sentence.ts";

/**
 * One verb: what people type, what it needs, what it does. Help and the parser's grammar are made from it.
 */
export interface Verb {
  readonly name: string;
  readonly summary: string;
  /** Without `/lazarus` or `lazarus`: `summon [AGENT] [TARGET] [--ttl 4h]`. */
  readonly usage: string;
  readonly examples: readonly string[];
  readonly who: string;
  readonly flags: Readonly<Record<string, Flag>>;
  /** Changes nothing: a command line answers it from the registry, with or without a server. */
  readonly isReadOnly?: boolean;
  /** Takes what follows ` -- ` as words for the agent. */
  readonly takesWords?: boolean;
  /** Takes its words raw, to the end of the comment. */
  readonly isRaw?: boolean;
  readonly run: (command: Command, origin: Origin, deps: Deps) => Promise<Answer>;
}

export interface Flag {
  readonly takes: "value" | "switch";
  readonly help: string;
}

export interface Command {
  readonly verb: string;
  readonly words: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean>>;
  readonly text: string | null;
}

/** Who said it and where. */
export interface Origin {
  readonly asker: Asker;
  readonly person: Requester;
  /** The operator of the command line: a director everywhere. */
  readonly isOperator: boolean;
  /** Where it was typed; null on the command line. */
  readonly thread: { readonly repository: RepositoryRef; readonly number: number } | null;
  readonly commentId: number | null;
  /** SHA-256 of the thread's issue text when the command was typed; null when no delivery told it. */
  readonly issueHash: string | null;
  /** What an earlier attempt of the same command wrote down. */
  readonly notes: Readonly<Record<string, unknown>>;
  /** Commits something for a later attempt, before a write to the forge. */
  note(notes: Record<string, unknown>): void;
}

export interface Deps {
  readonly forge: Forge;
  readonly registry: Registry;
  readonly lifecycle: Lifecycle;
  readonly telling: Telling;
  readonly reviewing: Reviewing;
  readonly inviting: Inviting;
  readonly goingOn: GoingOn;
  readonly proposing: Proposing;
  readonly steps: Steps;
  readonly queue: Queue;
  readonly rights: Rights;
  readonly renames: Renames;
  readonly clock: Clock;
  readonly config: Config;
}

/** What came of a command. `effects` are made in the transaction that ends its job. */
export type Answer =
  | {
      readonly kind: "done";
      readonly effects?: () => void;
      /** Posted as a comment of its own, and printed. */
      readonly reply?: Sentence;
      /**
       * Printed on the command line; a comment gets a reaction only. A function is asked after the effects.
       */
      readonly line: Sentence | (() => Sentence);
      readonly data?: unknown;
      /** It is only under way: the reaction that says it is done follows when that is so. */
      readonly isUnderWay?: boolean;
    }
  /** Another job will answer. */
  | { readonly kind: "later"; readonly effects: () => void }
  | {
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly reply: Sentence;
      /** What was found on the way, made in the transaction that ends its job. */
      readonly effects?: () => void;
      /** Refusals of one comment for one reason are one reply; absent: its words are the reason. */
      readonly reason?: "permission";
    };

export type Refused = Extract<Answer, { kind: "refused" }>;

export const REFUSALS = ["usage", "refused", "not-found", "failed"] as const;
export type RefusalCode = (typeof REFUSALS)[number];

/** A refusal, in the words people will read. */
export function refuse(code: RefusalCode, reply: Sentence): Refused {
  return { kind: "refused", code, reply };
}

/** The same for want of a right: the other commands of the comment want it as well. */
export function refuseForRights(reply: Sentence): Answer {
  return { kind: "refused", code: "refused", reply, reason: "permission" };
}

/** A cell a person may act on, or the refusal. */
export type CellChoice =
  | {
      readonly cell: Cell;
      readonly role: Role;
      /** By the forge or the configuration alone; an invitation may have given the person more. */
      readonly own: Role | null;
    }
  | { readonly refusal: Answer };
