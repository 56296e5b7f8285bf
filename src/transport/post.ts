/** What carries sealed messages between control and its runners. It is trusted with nothing but to carry. */
export interface Post {
  /**
   * Sends one message. Where `id` is given and a message of that id still waits there, this one is dropped.
   * Rejects where it cannot be sent now: nothing is kept for later.
   */
  send(queue: string, message: string, id?: string): Promise<void>;
  /** Hands over what comes, one after the other. What is handed over is gone. */
  receive(queue: string, take: (message: unknown) => void): Receiving;
  /** Why nothing can be sent just now, in words; null: it can. */
  trouble(): string | null;
  close(): Promise<void>;
}

export interface Receiving {
  close(): Promise<void>;
}

/** In braces, so that each queue's keys lie in one slot of a cluster. */
export function queueNames(runner: string): { readonly to: string; readonly from: string } {
  return { to: `{to-${runner}}`, from: `{from-${runner}}` };
}
