import { LazarusError } from "../errors.ts";

/** Whom set-up talks to. */
export interface Terminal {
  /** False: nobody can answer, so what was not said beforehand is a fault. */
  readonly isInteractive: boolean;
  say(line: string): void;
  /** One answer, trimmed. `isSecret`: it is not shown while it is typed. */
  ask(question: string, isSecret?: boolean): Promise<string>;
}

export function missing(what: string, how: string): LazarusError {
  return new LazarusError("usage", `${what} is not known, and nobody can be asked: ${how}`);
}

/** Asks until the answer can be used; `read` throws a sentence where it cannot. */
export async function askUntil<T>(
  terminal: Terminal,
  question: string,
  read: (answer: string) => T | Promise<T>,
  isSecret = false,
): Promise<T> {
  for (;;) {
    const answer = await terminal.ask(question, isSecret);
    try {
      return await read(answer);
    } catch (error) {
      if (!(error instanceof LazarusError)) throw error;
      terminal.say(`  ${error.message}`);
    }
  }
}
