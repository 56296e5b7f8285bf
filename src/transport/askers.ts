import type { Clock } from "../clock.ts";
import { LazarusError } from "../errors.ts";
import { fromWire } from "./failures.ts";
import type { HeardByControl, Question } from "./messages.ts";

type Answer = Extract<HeardByControl, { say: "answer" }>;

interface AskerDeps {
  readonly clock: Pick<Clock, "after">;
  say(message: object): void;
  gone(): LazarusError;
}

const PATIENCE_MS = 20_000;
const MOST_ASKED = 100;

/** Questions that a runner answers at once or never: nobody's work hangs on them. */
export function createAskers({ clock, say, gone }: AskerDeps) {
  const open = new Map<
    string,
    { resolve(answer: Answer): void; reject(error: unknown): void; cancel(): void }
  >();
  const take = (id: string) => {
    const one = open.get(id);
    open.delete(id);
    one?.cancel();
    return one;
  };
  return {
    ask(question: Question): Promise<Answer> {
      if (open.size >= MOST_ASKED)
        return Promise.reject(
          new LazarusError("queue-unreachable", "too many questions are open", { retryable: true }),
        );
      const id = crypto.randomUUID();
      return new Promise((resolve, reject) => {
        const cancel = clock.after(PATIENCE_MS, () => take(id)?.reject(gone()));
        open.set(id, { resolve, reject, cancel });
        say({ say: "ask", id, question });
      });
    },
    answered(answer: Answer): void {
      const one = take(answer.id);
      if (answer.failure === null) one?.resolve(answer);
      else one?.reject(fromWire(answer.failure));
    },
    close(): void {
      for (const id of [...open.keys()]) take(id)?.reject(gone());
    },
  };
}
