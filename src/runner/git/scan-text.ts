import type { SecretFinder } from "../../secret-finder.ts";
import {
  cutBetweenFillers,
  lengthBefore,
  READINGS,
  type Reading,
  type View,
  viewsOf,
} from "../../text-views.ts";

/** So much is looked through at once; what stands over an edge is seen in the next window as well. */
const WINDOW = 256 * 1024;
const OVERLAP = 64 * 1024;

/**
 * Looks through text of any length, piece by piece, for the secrets of a finder, in every form it knows. A
 * secret is seen whole whatever stands between its characters: 64 KB of the text, and as much of what each
 * reading leaves of it, go over into the next window. Where windows end nobody can foresee.
 */
export class SecretScan {
  readonly #finder: Pick<SecretFinder, "names">;
  readonly #carried: Record<Reading, string> = {
    ...{ plain: "", quoted: "", decoded: "", bare: "", hex: "" },
  };
  readonly #found = new Set<string | null>();
  #waiting = "";
  #length = nextLength();

  constructor(finder: Pick<SecretFinder, "names">) {
    this.#finder = finder;
  }

  push(piece: string): void {
    this.#waiting += piece;
    while (!this.#isDecided() && this.#waiting.length >= this.#length) {
      const window = this.#waiting.slice(0, this.#length);
      const views = viewsOf(window);
      this.#look(views);
      const rest = cutBetweenFillers(window, this.#length - OVERLAP);
      for (const reading of READINGS) {
        const view = views[reading];
        const left = this.#carried[reading] + view.text.slice(0, lengthBefore(view, rest));
        this.#carried[reading] = left.slice(-OVERLAP);
      }
      this.#waiting = this.#waiting.slice(rest);
      this.#length = nextLength();
    }
    if (this.#isDecided()) this.#waiting = "";
  }

  /** Names of the secrets in what was pushed; null stands for those without one, and then for all. */
  end(): ReadonlySet<string | null> {
    if (!this.#isDecided()) this.#look(viewsOf(this.#waiting));
    return this.#found;
  }

  /** What holds a secret without a name is held back, whatever else is in it. */
  #isDecided(): boolean {
    return this.#found.has(null);
  }

  #look(views: Readonly<Record<Reading, View>>): void {
    const looked: string[] = [];
    for (const reading of READINGS) {
      const text = this.#carried[reading] + views[reading].text;
      if (looked.includes(text)) continue;
      looked.push(text);
      for (const name of this.#finder.names(reading, text)) this.#found.add(name);
    }
  }
}

function nextLength(): number {
  return WINDOW - Math.floor(Math.random() * (WINDOW / 4));
}

/** A commit's hash, shortened, and the names of the secrets that it shows; null: one without a name. */
export interface CommitFound {
  readonly commit: string;
  readonly names: readonly (string | null)[];
}

/**
 * The text of one commit after the other, out of the log that `git log` prints: each begins with a mark that
 * nobody could foresee, and its hash. The signs of the diff are taken away, so that a secret over two lines
 * is seen whole.
 */
export class LogScan {
  readonly #mark: string;
  readonly #finder: Pick<SecretFinder, "names">;
  readonly #found = new Map<string, Set<string | null>>();
  #held = "";
  #isLineStart = true;
  #commit: { hash: string; readonly scan: SecretScan } | null = null;

  constructor(mark: string, finder: Pick<SecretFinder, "names">) {
    this.#mark = mark;
    this.#finder = finder;
  }

  push(text: string): void {
    this.#held += text;
    for (;;) {
      const at = this.#held.indexOf(this.#mark);
      if (at < 0) break;
      this.#take(this.#held.slice(0, at));
      this.#endCommit();
      this.#held = this.#held.slice(at + this.#mark.length);
      this.#commit = { hash: "", scan: new SecretScan(this.#finder) };
      this.#isLineStart = true;
    }
    // The mark itself may stand over an edge.
    const whole = Math.max(0, this.#held.length - this.#mark.length);
    this.#take(this.#held.slice(0, whole));
    this.#held = this.#held.slice(whole);
  }

  /** The commits that show secrets, each once. */
  end(): readonly CommitFound[] {
    this.#take(this.#held);
    this.#held = "";
    this.#endCommit();
    return [...this.#found].map(([commit, names]) => ({ commit, names: [...names] }));
  }

  #take(text: string): void {
    if (this.#commit === null || text === "") return;
    const whole = this.#isLineStart ? text.replace(/^[+-]/gm, "") : text.replace(/(?<=\n)[+-]/g, "");
    this.#isLineStart = text.endsWith("\n");
    if (this.#commit.hash.length < SHORT_HASH)
      this.#commit.hash = (this.#commit.hash + whole).slice(0, SHORT_HASH);
    this.#commit.scan.push(whole);
  }

  #endCommit(): void {
    const names = this.#commit?.scan.end() ?? new Set<string | null>();
    if (this.#commit !== null && names.size > 0) {
      const { hash } = this.#commit;
      this.#found.set(hash, new Set([...(this.#found.get(hash) ?? []), ...names]));
    }
    this.#commit = null;
  }
}

const SHORT_HASH = 10;
