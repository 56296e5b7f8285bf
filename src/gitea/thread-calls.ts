import type { Api } from "gitea-js";
import { type Clock, toIso } from "../clock.ts";
import { LazarusError } from "../errors.ts";
import * as answers from "./answers.ts";
import { type Calls, check } from "./calls.ts";
import { isTooLarge, readAll } from "./lists.ts";
import { label, numbered, segments, thread } from "./paths.ts";
import type { Comment, Forge, RepositoryName } from "./port.ts";

/** The part of the forge that says what people wrote on a thread. */
export type ThreadCalls = Pick<Forge, "comments" | "comment" | "reactors">;

/** No forge that is spoken to is older. */
const EARLIEST_SECOND = Date.UTC(2024, 0) / 1000;
const DAY_SECONDS = 24 * 60 * 60;
const MOST_WINDOWS = 1_000;

/** Seconds, both included; `to` null: up to now. */
interface Window {
  readonly from: number;
  readonly to: number | null;
}

/**
 * Comments are not paged by the server: where all of them at once are too large, they are read in windows of
 * time, each halved while it is too large, and those of a single second one by one.
 * @see Gitea routers/api/v1/repo/issue_comment.go
 */
export function createThreadCalls(deps: {
  readonly api: Api<unknown>;
  readonly calls: Calls;
  readonly clock: Clock;
}): ThreadCalls {
  const { api, calls } = deps;

  const inWindow = async (at: { name: RepositoryName; number: number }, window: Window) => {
    const doing = `reading the comments of ${thread(at.name, at.number)}`;
    const query = {
      ...(window.from === 0 ? {} : { since: toIso(window.from * 1000) }),
      ...(window.to === null ? {} : { before: toIso(window.to * 1000) }),
    };
    const call = { doing, send: () => api.repos.issueGetComments(...numbered(at.name, at.number), query) };
    const answer = await calls.read(call);
    if (answer.status !== 200) throw calls.refusal(call, answer);
    return check(doing, answer.data, answers.comments);
  };

  /** Those of all threads of that second, a few at a time: only that list has pages. */
  const ofSecond = async (at: { name: RepositoryName; number: number }, second: number) => {
    const span = { since: toIso(second * 1000), before: toIso(second * 1000) };
    const found = await readAll(calls, {
      doing: `reading the comments of one second of ${label(at.name)}`,
      page: (part) => api.repos.issueGetRepoComments(...segments(at.name), { ...span, ...part }),
      schema: answers.placedComments,
    });
    const items = (found?.items ?? []).filter((one) => one.number === at.number);
    return { comments: items.map((one) => one.comment), skipped: found?.skipped ?? 0 };
  };

  const comments: Forge["comments"] = async (name, number, since) => {
    const at = { name, number };
    // The server keeps seconds, so those of the same second are asked for too.
    const windows: Window[] = [{ from: since === undefined ? 0 : Math.floor(since / 1000), to: null }];
    const found: Comment[] = [];
    const skipped: number[] = [];
    for (let asked = 0; windows.length > 0; asked++) {
      const window = windows.shift() as Window;
      if (asked > MOST_WINDOWS)
        throw new LazarusError("forge-answer", `reading ${thread(name, number)}: too much to be read`);
      try {
        found.push(...(await inWindow(at, window)).map(shortened));
      } catch (error) {
        if (!isTooLarge(error)) throw error;
        if (window.from !== window.to) {
          windows.unshift(...halves(window, deps.clock.now()));
          continue;
        }
        const part = await ofSecond(at, window.from);
        found.push(...part.comments.map(shortened));
        if (part.skipped > 0) skipped.push(window.from * 1000);
      }
    }
    return { entries: found.sort(byId), skipped };
  };

  return {
    comments,

    async comment(name, id) {
      const doing = `reading comment ${id} of ${label(name)}`;
      const call = { doing, send: () => api.repos.issueGetComment(...numbered(name, id)) };
      const answer = await calls.read(call);
      if (answer.status === 404 || answer.status === 204) return null;
      if (answer.status !== 200) throw calls.refusal(call, answer);
      return check(doing, answer.data, answers.comment);
    },

    async reactors(name, id) {
      const doing = `reading the reactions to comment ${id} of ${label(name)}`;
      const call = { doing, send: () => api.repos.issueGetCommentReactions(...numbered(name, id)) };
      const answer = await calls.read(call);
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw calls.refusal(call, answer);
      return check(doing, answer.data, answers.reactors);
    },
  };
}

function halves({ from, to }: Window, now: number): [Window, Window] {
  const first = Math.max(from, EARLIEST_SECOND);
  // The forge's clock may be ahead of ours.
  const last = to ?? Math.max(Math.floor(now / 1000), first) + DAY_SECONDS;
  const middle = Math.floor((first + last) / 2);
  return [
    { from, to: middle },
    { from: middle + 1, to: middle + 1 >= last ? last : to },
  ];
}

/** More of a text is not kept. It is far beyond what is read as Markdown. */
const LONGEST = 100_000;
const COMMAND = /^ {0,3}\/lazarus(?=\s|$)/im;

/** A text that is too long to be read keeps its beginning, and a sign that a command stands in the rest. */
export function shortened<T extends { readonly body: string }>(one: T): T {
  if (one.body.length <= LONGEST) return one;
  const rest = COMMAND.test(one.body.slice(LONGEST)) ? "\n/lazarus\n" : "";
  // Copied: a part of a text keeps all of it in memory.
  const kept = Buffer.from(one.body.slice(0, LONGEST), "utf8").toString("utf8");
  return { ...one, body: `${kept}${rest}`, isCut: true };
}

export function byId(a: { id: number }, b: { id: number }): number {
  return a.id - b.id;
}
