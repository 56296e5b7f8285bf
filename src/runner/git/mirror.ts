import { join } from "node:path";
import { isRetryable, LazarusError } from "../../errors.ts";
import type { RepositoryRef } from "../../protocol/shapes.ts";
import { whatIs } from "../disk/directory.ts";
import { dropHalfPacks, type MirrorPlace, openMirror, share } from "./open-mirror.ts";

export interface MirrorOptions extends MirrorPlace {
  readonly forgeUrl: string;
  /** How long one fetch of what anybody may have made takes at most. */
  readonly mostMs: number;
}

/**
 * One bare repository per repository of the forge. It only ever receives what the forge sent, and forgets
 * nothing.
 */
export interface Mirrors {
  path(repository: RepositoryRef): string;
  /**
   * Grows as a fetch of that mirror begins, and as it ends: what was cloned at the same number holds the same
   * branches and tags.
   */
  generation(repository: RepositoryRef): number;
  cloneUrl(repository: RepositoryRef): string;
  /**
   * Makes the mirror hold `commit`, fetching all branches (and `ref`, where that is no branch) if it does not
   * yet. `group` may read it from then on (null: nobody but us).
   * @throws LazarusError `git`; not retryable if the forge refuses, or no longer has the commit.
   */
  provide(repository: RepositoryRef, want: Wanted, signal: AbortSignal): Promise<string>;
  /** The same for what a cell borrows, and keeps it. */
  provideBase(
    repository: RepositoryRef,
    want: Wanted & { readonly cellId: string },
    signal: AbortSignal,
  ): Promise<string>;
  /** Keeps what a cell borrows. */
  keep(repository: RepositoryRef, cellId: string, commit: string): Promise<void>;
  /** The same for what people pushed to the cell's branch last. */
  keepTheirs(repository: RepositoryRef, cellId: string, commit: string): Promise<void>;
  /** Lets go of both; no error where there is no mirror. */
  release(repository: RepositoryRef, cellId: string): Promise<void>;
  /** Every reference that is kept for a cell; none where there is no mirror. */
  keptFor(repository: RepositoryRef, cellId: string): Promise<string[]>;
}

interface Wanted {
  readonly commit: string;
  readonly ref: string;
  readonly group: number | null;
}

/** The fetches of one mirror: one at a time, and whoever asks before the next one begins shares it. */
class FetchLine {
  readonly #fetch: (refs: ReadonlySet<string>) => Promise<void>;
  #last: Promise<void> = Promise.resolve();
  #latest: Promise<void> = Promise.resolve();
  #begun = 0;
  #ended = 0;
  #next: { readonly refs: Set<string>; readonly done: Promise<void> } | null = null;

  constructor(fetch: (refs: ReadonlySet<string>) => Promise<void>) {
    this.#fetch = fetch;
  }

  /** How many fetches have begun: what a request remembers of the moment it was made. */
  get begun(): number {
    return this.#begun;
  }

  get generation(): number {
    return this.#begun + this.#ended;
  }

  /** Settles with a fetch that began after `since`: an earlier one may have missed what is wanted. */
  soon(ref: string, since: number): Promise<void> {
    const isBranch = ref.startsWith("refs/heads/");
    if (isBranch && this.#begun > since) return this.#latest;
    if (this.#next === null) {
      const refs = new Set<string>();
      const done = this.#last
        .catch(() => {})
        .then(() => {
          this.#next = null;
          this.#begun++;
          this.#latest = done;
          return this.#fetch(refs).finally(() => this.#ended++);
        });
      done.catch(() => {});
      this.#next = { refs, done };
      this.#last = done;
    }
    if (!isBranch) this.#next.refs.add(ref);
    return this.#next.done;
  }
}

/** Mirrors below one directory; exactly one program may use it. */
export function createMirrors(options: MirrorOptions): Mirrors {
  const ready = new Map<number, Promise<void>>();
  const lent = new Map<string, Promise<void>>();
  const lines = new Map<number, FetchLine>();
  const names = new Map<number, RepositoryRef>();
  /** Why a ref that is no branch could not be fetched last. */
  const refused = new Map<string, unknown>();
  const path = (repository: RepositoryRef) => join(options.dir, `${repository.id}.git`);
  const cloneUrl = (repository: RepositoryRef) =>
    `${options.forgeUrl.replace(/\/+$/, "")}/${repository.fullName.split("/").map(encodeURIComponent).join("/")}.git`;

  /**
   * Once per group: the mirror's settings and directories see to it that what later fetches bring is readable
   * as well.
   */
  const lend = (repository: RepositoryRef, group: number | null): Promise<void> => {
    const key = `${repository.id} ${group}`;
    const known = lent.get(key);
    if (known !== undefined || group === null) return known ?? Promise.resolve();
    const lending = share(options, path(repository), group);
    lent.set(key, lending);
    lending.catch(() => lent.delete(key));
    return lending;
  };

  const open = (repository: RepositoryRef): Promise<void> => {
    const known = ready.get(repository.id);
    if (known !== undefined) return known;
    const opening = openMirror(options, path(repository));
    ready.set(repository.id, opening);
    opening.catch(() => ready.delete(repository.id));
    return opening;
  };

  const has = async (repository: RepositoryRef, commit: string): Promise<boolean> => {
    const args = ["cat-file", "-e", `${commit}^{commit}`];
    return (
      (await options.git({ dir: path(repository), args, doing: "looking into the mirror", tolerant: true }))
        .code === 0
    );
  };

  const fetchOne = async (
    repository: RepositoryRef,
    refspec: string,
    how: { readonly flags: readonly string[]; readonly mostMs?: number },
  ): Promise<void> => {
    const { flags, ...limits } = how;
    const words = ["fetch", "--progress", "--no-write-fetch-head", "--no-recurse-submodules", ...flags];
    const fetching = options.git({
      ...limits,
      dir: path(repository),
      args: [...words, cloneUrl(repository), refspec],
      doing: `fetching ${repository.fullName}`,
      remote: true,
    });
    await fetching.catch(async (error: unknown) => {
      await dropHalfPacks(path(repository));
      throw error;
    });
  };

  const fetchAll = async (repository: RepositoryRef, refs: ReadonlySet<string>): Promise<void> => {
    await fetchOne(repository, "+refs/heads/*:refs/heads/*", { flags: ["--prune"] });
    for (const ref of refs) {
      refused.delete(`${repository.id} ${ref}`);
      // A pull request's ref may be gone, or too much; that is for the one who asked for it to find out.
      const how = { flags: [], mostMs: options.mostMs };
      await fetchOne(repository, `+${ref}:${ref}`, how).catch((error: unknown) => {
        if (isRetryable(error)) throw error;
        refused.set(`${repository.id} ${ref}`, error);
      });
    }
  };

  const lineOf = (repository: RepositoryRef): FetchLine => {
    // By its id: under a new name it is the same mirror, in which one fetch at a time is at work.
    names.set(repository.id, repository);
    const line =
      lines.get(repository.id) ??
      new FetchLine((refs) => fetchAll(names.get(repository.id) ?? repository, refs));
    lines.set(repository.id, line);
    return line;
  };

  const keep = async (repository: RepositoryRef, name: string, commit: string): Promise<void> => {
    const doing = `keeping ${commit.slice(0, 10)} of ${repository.fullName}`;
    const args = ["update-ref", `refs/lazarus/${name}`, commit];
    await options.git({ dir: path(repository), args, doing });
  };

  /** Keeping a commit finds out whether it is there. */
  const keepsAtOnce = async (repository: RepositoryRef, cellId: string, commit: string): Promise<boolean> => {
    const args = ["update-ref", `refs/lazarus/${cellId}/base`, commit];
    const { code } = await options.git({
      ...{ dir: path(repository), args, tolerant: true },
      doing: `keeping ${commit.slice(0, 10)} of ${repository.fullName}`,
    });
    return (
      code === 0 ||
      ((await has(repository, commit)) && keep(repository, `${cellId}/base`, commit).then(() => true))
    );
  };

  /** `has`: looks for the commit, once the mirror may be used. */
  const provideBy = async (
    has: () => Promise<boolean>,
    { repository, want, signal }: { repository: RepositoryRef; want: Wanted; signal: AbortSignal },
  ): Promise<string> => {
    if (!/^[0-9a-f]{40,64}$/.test(want.commit) || !isRefName(want.ref)) {
      throw new LazarusError("internal", `${want.ref} at ${want.commit} is no ref and commit`);
    }
    const line = lineOf(repository);
    const since = line.begun;
    await open(repository);
    await lend(repository, want.group);
    if (await has()) return path(repository);
    await orAborted(line.soon(want.ref, since), signal);
    if (await has()) return path(repository);
    const why = refused.get(`${repository.id} ${want.ref}`);
    if (why instanceof LazarusError && why.code === "over-limit") throw why;
    throw new LazarusError(
      "git",
      `fetching ${repository.fullName}: the forge no longer sends commit ${want.commit.slice(0, 10)} with ${want.ref}; was it rewritten or deleted?`,
    );
  };

  return {
    path,
    generation: (repository) => lines.get(repository.id)?.generation ?? 0,
    cloneUrl,
    provide: (repository, want, signal) =>
      provideBy(() => has(repository, want.commit), { repository, want, signal }),
    provideBase: (repository, { cellId, ...want }, signal) =>
      provideBy(() => keepsAtOnce(repository, cellId, want.commit), { repository, want, signal }),
    keep: (repository, cellId, commit) => keep(repository, `${cellId}/base`, commit),
    keepTheirs: (repository, cellId, commit) => keep(repository, `${cellId}/people`, commit),
    async release(repository, cellId) {
      if ((await whatIs(path(repository))) === "nothing") return;
      await open(repository);
      for (const name of ["base", "people"]) {
        const args = ["update-ref", "-d", `refs/lazarus/${cellId}/${name}`];
        await options.git({ dir: path(repository), args, doing: `letting go of ${repository.fullName}` });
      }
    },
    async keptFor(repository, cellId) {
      if ((await whatIs(path(repository))) === "nothing") return [];
      const args = ["for-each-ref", "--format=%(refname)", `refs/lazarus/${cellId}`];
      const doing = `looking for what ${repository.fullName} keeps`;
      return (await options.git({ dir: path(repository), args, doing })).stdout
        .split("\n")
        .filter((line) => line !== "");
    },
  };
}

function isRefName(ref: string): boolean {
  return /^refs\/[^\s~^:?*[\\]+$/.test(ref) && !ref.includes("..") && !ref.includes("//");
}

/** The fetch goes on for the others; only this one stops waiting for it. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
