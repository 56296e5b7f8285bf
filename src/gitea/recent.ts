import type { Clock } from "../clock.ts";
import type { Repository, RepositoryName } from "./port.ts";

/** So long it is believed that a repository is still called what it was called. */
const HELD_MS = 30_000;

/** Repositories as they were found a moment ago, by the name that they were asked for. */
export interface RecentRepositories {
  of(name: RepositoryName): Repository | null;
  /** One that answered under the very name it was asked for; any other is not kept. */
  found(name: RepositoryName, repository: Repository | null): void;
  /** Something told that a name leads to this id now. */
  told(id: number, fullName: string): void;
  forget(): void;
}

export function createRecentRepositories(clock: Pick<Clock, "monotonic">): RecentRepositories {
  const held = new Map<string, { readonly at: number; readonly repository: Repository }>();
  const keyOf = ({ owner, name }: RepositoryName) => `${owner}/${name}`.toLowerCase();
  return {
    of(name) {
      const known = held.get(keyOf(name));
      return known !== undefined && clock.monotonic() - known.at < HELD_MS ? known.repository : null;
    },
    found(name, repository) {
      const [key, now] = [keyOf(name), clock.monotonic()];
      for (const [other, { at }] of held) if (now - at >= HELD_MS) held.delete(other);
      if (repository?.fullName.toLowerCase() === key) held.set(key, { at: now, repository });
      else held.delete(key);
    },
    told(id, fullName) {
      for (const [key, { repository }] of held)
        if ((repository.id === id) !== (key === fullName.toLowerCase())) held.delete(key);
    },
    forget: () => held.clear(),
  };
}

/** Asked once: what came of it is known from then on, but for a failure. */
export function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | null = null;
  return () => {
    if (known !== null) return known;
    const asked = ask();
    known = asked;
    asked.catch(() => {
      if (known === asked) known = null;
    });
    return asked;
  };
}
