import { mostOf, type Usage } from "../../protocol/usage.ts";
import type { Told } from "../events/event.ts";
import { readLine } from "../events/read-line.ts";

/** Answers of a model that are remembered each by itself; older ones are added up. */
const MOST_PARTS = 20_000;

/** What every event that tells a usage, or names a session, has somewhere in its line. */
const TELLING = /"(?:usage|tokens|stats|thread_id|session_id)"\s*:/;
const NOTHING: Usage = { costUsd: null, tokens: null };

/**
 * Adds up what the events of one run's log say it used. Lines may be heard again: each answer of a model is
 * known by its id. Any text may come.
 */
export class Meter {
  readonly #parts = new Map<string, Usage>();
  #older = NOTHING;
  #total: Told | null = null;
  #session = "";

  hear(line: string): void {
    if (!line.startsWith("{") || !TELLING.test(line)) return;
    for (const event of readLine(line) ?? []) {
      if (event.kind === "began" && event.session !== undefined) this.#session = event.session;
      if (event.kind === "told") this.#note(event);
    }
  }

  #note(told: Told): void {
    if (told.of === "total") {
      this.#total = told;
      return;
    }
    if (this.#parts.size >= MOST_PARTS) {
      this.#older = this.#sum();
      this.#parts.clear();
    }
    const { costUsd, tokens } = told;
    this.#parts.set(told.id, { costUsd, tokens });
  }

  #sum(): Usage {
    return [...this.#parts.values()].reduce<Usage>(
      (sum, part) => ({
        costUsd: plus(sum.costUsd, part.costUsd),
        tokens: plus(sum.tokens, part.tokens),
      }),
      this.#older,
    );
  }

  /** The session whose beginning a total may count from; empty where the log names none. */
  get session(): string {
    return this.#session;
  }

  /** What was told last of its session; null: nothing. */
  get ofSession(): Usage | null {
    return this.#total?.isOfSession === true ? this.#total : null;
  }

  /**
   * What this run used; `before`: of its session when it began. Whether a total is of the session or of the
   * run alone depends on the agent's version: of the session it is no less than what that had used before and
   * what this run is heard to have used.
   */
  told(before: Usage = NOTHING): Usage {
    const parts = this.#sum();
    if (this.#total === null) return parts;
    const { isOfSession = false, costUsd, tokens } = this.#total;
    const least = (before.tokens ?? 0) + (parts.tokens ?? 0);
    const isWhole = isOfSession && before.tokens !== null && (tokens ?? 0) >= least;
    const own = isWhole
      ? { costUsd: less(costUsd, before.costUsd), tokens: less(tokens, before.tokens) }
      : { costUsd, tokens };
    // It may have gone on after its total.
    return { costUsd: own.costUsd ?? parts.costUsd, tokens: mostOf(own, parts).tokens };
  }
}

function less(all: number | null, before: number | null): number | null {
  return all === null ? null : Math.max(0, all - (before ?? 0));
}

function plus(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : one + other;
}
