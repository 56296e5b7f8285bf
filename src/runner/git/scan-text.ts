import { cutBetweenFillers, type Redactor, withoutFillers } from "../../redact.ts";

/** So much is looked through at once; what stands over an edge is seen in the next window as well. */
const WINDOW = 256 * 1024;
const OVERLAP = 64 * 1024;

/**
 * Looks through text of any length, piece by piece, for the secrets of a redactor. A secret is seen whole
 * whatever stands between its characters: 64 KB of the text, and as much of what is left without fillers, go
 * over into the next window. Where windows end nobody can foresee.
 */
export class SecretScan {
  readonly #redactor: Pick<Redactor, "redact">;
  #waiting = "";
  #carried = "";
  #length = nextLength();
  #found = false;

  constructor(redactor: Pick<Redactor, "redact">) {
    this.#redactor = redactor;
  }

  push(piece: string): void {
    this.#waiting += piece;
    while (!this.#found && this.#waiting.length >= this.#length) {
      const window = this.#waiting.slice(0, this.#length);
      this.#look(window);
      const rest = cutBetweenFillers(window, this.#length - OVERLAP);
      this.#carried = (this.#carried + withoutFillers(window.slice(0, rest))).slice(-OVERLAP);
      this.#waiting = this.#waiting.slice(rest);
      this.#length = nextLength();
    }
    if (this.#found) this.#waiting = "";
  }

  /** Whether a secret was in what was pushed. */
  end(): boolean {
    if (!this.#found) this.#look(this.#waiting);
    return this.#found;
  }

  #look(window: string): void {
    const bare = this.#carried + withoutFillers(window);
    this.#found ||= this.#redactor.redact(window) !== window || this.#redactor.redact(bare) !== bare;
  }
}

function nextLength(): number {
  return WINDOW - Math.floor(Math.random() * (WINDOW / 4));
}

/**
 * The text of one commit after the other, out of the log that `git log` prints: each begins with a mark that
 * nobody could foresee, and its hash. The signs of the diff are taken away, so that a secret over two lines
 * is seen whole.
 */
export class LogScan {
  readonly #mark: string;
  readonly #redactor: Pick<Redactor, "redact">;
  readonly #found: string[] = [];
  #held = "";
  #isLineStart = true;
  #commit: { hash: string; readonly scan: SecretScan } | null = null;

  constructor(mark: string, redactor: Pick<Redactor, "redact">) {
    this.#mark = mark;
    this.#redactor = redactor;
  }

  push(text: string): void {
    this.#held += text;
    for (;;) {
      const at = this.#held.indexOf(this.#mark);
      if (at < 0) break;
      this.#take(this.#held.slice(0, at));
      this.#endCommit();
      this.#held = this.#held.slice(at + this.#mark.length);
      this.#commit = { hash: "", scan: new SecretScan(this.#redactor) };
      this.#isLineStart = true;
    }
    // The mark itself may stand over an edge.
    const whole = Math.max(0, this.#held.length - this.#mark.length);
    this.#take(this.#held.slice(0, whole));
    this.#held = this.#held.slice(whole);
  }

  /** Hashes, shortened, of the commits that show a secret. */
  end(): readonly string[] {
    this.#take(this.#held);
    this.#endCommit();
    return this.#found;
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
    if (this.#commit?.scan.end() === true) this.#found.push(this.#commit.hash);
    this.#commit = null;
  }
}

const SHORT_HASH = 10;
