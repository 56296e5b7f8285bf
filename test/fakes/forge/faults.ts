/** What goes wrong instead of, or on top of, the honest answer. */
export type FaultAnswer =
  /** This status; `afterStore`: the work is done first, only its answer is lost. `html` makes it a page. */
  | {
      readonly status: number;
      readonly body?: string;
      readonly html?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly afterStore?: boolean;
    }
  /** The connection is cut, before or after the work was done. */
  | "reset"
  | "reset-after-store"
  /** No answer ever comes. */
  | "hang"
  | "hang-after-store"
  /** The honest answer, cut in the middle of its body. */
  | "half"
  /** The honest answer, late. */
  | { readonly delayMs: number };

export interface FaultRule {
  readonly match: { readonly method?: string; readonly path: RegExp };
  /** How many requests it hits; 1 where untold. */
  readonly times?: number;
  readonly answer: FaultAnswer;
}

/** Faults that tests inject: the first rule that fits and is not used up answers. */
export class Faults {
  #rules: { rule: FaultRule; left: number }[] = [];

  /** The answer removes the rule again. */
  add(rule: FaultRule): () => void {
    const entry = { rule, left: rule.times ?? 1 };
    this.#rules.push(entry);
    return () => {
      this.#rules = this.#rules.filter((one) => one !== entry);
    };
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault for this request, if any, counted as used. `path` is the request's path with its query. */
  take(method: string, path: string): FaultAnswer | null {
    const hit = this.#rules.find(
      ({ rule, left }) =>
        left > 0 &&
        (rule.match.method === undefined || rule.match.method === method) &&
        rule.match.path.test(path),
    );
    if (!hit) return null;
    hit.left -= 1;
    return hit.rule.answer;
  }
}
