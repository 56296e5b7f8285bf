import type { Api } from "gitea-js";
import { toIso } from "../clock.ts";
import { LazarusError } from "../errors.ts";
import * as answers from "./answers.ts";
import { type Calls, check } from "./calls.ts";
import { dateIn } from "./date.ts";
import { countOf, PAGE, type Page } from "./lists.ts";
import { label, numbered, segments, thread } from "./paths.ts";
import type { Doing, Forge, Moved, MovedThread, Scope } from "./port.ts";

/** The part of the forge that says what moved and who did it. */
export type Movements = Pick<Forge, "moved" | "doings">;

/**
 * A page that is too large to be read (fifty issues of a megabyte each) is read in smaller ones, at last one
 * by one.
 */
const LIMITS = [PAGE, 5, 1] as const;
const MOST_PAGES = 5_000;
/** So many threads in a row that cannot be read are no longer single ones. */
const MOST_UNREADABLE = 10;
const MOST_PASSES = 5;

interface Listing {
  readonly at: number;
  readonly threads: readonly MovedThread[];
  readonly pages: number;
}

/**
 * Lists go by creation, the youngest thread first, whatever moved since: what moves while pages are read
 * comes twice or not at all if something before it is deleted. So what needs several pages is read until a
 * pass brings nothing new.
 * @see Gitea routers/api/v1/repo/issue.go, models/issues/issue_search.go
 */
export function createMovements({ api, calls }: { api: Api<unknown>; calls: Calls }): Movements {
  const moved = async (scope: Scope, since: number): Promise<Moved> => {
    const query = { state: "all", since: toIso(Math.floor(since / 1000) * 1000) } as const;
    const doing = `asking what moved in ${nameOf(scope)}`;
    const page: Page =
      scope.kind === "repository"
        ? (part) => api.repos.issueListIssues(...segments(scope.name), { ...query, ...part })
        : (part) =>
            api.repos.issueSearchIssues({
              ...query,
              ...part,
              ...(scope.kind === "owner" ? { owner: scope.owner } : {}),
            });
    const first = await listing(doing, page);
    const found = byThread(first.threads);
    let { pages } = first;
    for (let pass = 1; pages > 1 && pass < MOST_PASSES; pass++) {
      const again = await listing(doing, page);
      const isNew = again.threads.some((one) => one.updatedAt < first.at && !found.has(keyOf(one)));
      for (const one of again.threads) found.set(keyOf(one), one);
      pages = isNew ? again.pages : 1;
    }
    return { at: first.at, threads: [...found.values()] };
  };

  /** All pages, in the largest parts that can be read. */
  const listing = async (doing: string, page: Page): Promise<Listing> => {
    for (const limit of LIMITS) {
      try {
        return await pagesOf(doing, { page, limit });
      } catch (error) {
        if (limit === 1 || !isUnreadable(error)) throw error;
      }
    }
    throw new LazarusError("internal", `${doing}: no size of pages was tried`);
  };

  const pagesOf = async (doing: string, by: { page: Page; limit: number }): Promise<Listing> => {
    const threads: MovedThread[] = [];
    let at: number | null = null;
    let total: number | null = null;
    let unreadable = 0;
    let seen = 0;
    for (let number = 1; number <= MOST_PAGES; number++) {
      const call = { doing, send: () => by.page({ page: number, limit: by.limit }) };
      try {
        const answer = await calls.read(call);
        if (answer.status !== 200) throw calls.refusal(call, answer);
        const part = check(doing, answer.data, answers.movedThreads);
        at ??= dateIn(answer.headers, doing);
        total = countOf(answer.headers);
        threads.push(...part);
        seen += part.length;
        unreadable = 0;
        // Servers may cap pages lower than we ask: their count says whether more is to come.
        if (part.length === 0 || (total === null ? part.length < by.limit : seen >= total))
          return { at, threads, pages: number };
      } catch (error) {
        if (by.limit > 1 || !isUnreadable(error) || ++unreadable > MOST_UNREADABLE) throw error;
        seen++;
        if (at !== null && total !== null && seen >= total) return { at, threads, pages: number };
      }
    }
    throw new LazarusError("forge-answer", `${doing}: more than ${MOST_PAGES} pages`);
  };

  return {
    moved,

    async doings(name, number, since) {
      const doing = `reading who closed or merged ${thread(name, number)}`;
      const query = { since: toIso(Math.floor(since / 1000) * 1000) };
      const call = {
        doing,
        send: () => api.repos.issueGetCommentsAndTimeline(...numbered(name, number), query),
      };
      const answer = await calls.read(call);
      if (answer.status !== 200) throw calls.refusal(call, answer);
      const seen = check(doing, answer.data, answers.timeline);
      return seen.filter((one): one is Doing => one !== null).sort((a, b) => a.id - b.id);
    },
  };
}

function nameOf(scope: Scope): string {
  if (scope.kind === "repository") return label(scope.name);
  return scope.kind === "owner" ? `the repositories of ${scope.owner}` : "all repositories";
}

function keyOf(one: MovedThread): string {
  return `${one.repository.id}#${one.number}`;
}

function byThread(threads: readonly MovedThread[]): Map<string, MovedThread> {
  return new Map(threads.map((one) => [keyOf(one), one]));
}

/** Too large, or of a shape we do not know. */
function isUnreadable(error: unknown): boolean {
  return error instanceof LazarusError && error.code === "forge-answer";
}
