import type { Api } from "gitea-js";
import { type Calls, check } from "./calls.ts";
import { isTooLarge, readAll } from "./lists.ts";
import { numbered, thread } from "./paths.ts";
import type { Forge, Place } from "./port.ts";
import * as answers from "./review-answers.ts";
import { byId, shortened } from "./thread-calls.ts";

/** The part of the forge that is about reviews of pull requests. */
type ReviewCalls = Pick<
  Forge,
  | "reviews"
  | "lineComments"
  | "postReview"
  | "dropPending"
  | "replyAtLine"
  | "requestReview"
  | "withdrawReviewRequest"
  | "merge"
>;

/** What a forge answers that has no call of a name: not found, or no such method at that path. */
const NO_SUCH_CALL: readonly number[] = [404, 405, 501];

/** @see Gitea routers/api/v1/repo/pull_review.go; Forgejo's `CreatePullReviewComment` beside it */
export function createReviewCalls(deps: {
  readonly api: Api<unknown>;
  readonly calls: Calls;
  readonly redact: (text: string) => string;
}): ReviewCalls {
  const { api, calls, redact } = deps;
  return {
    async reviews(name, number) {
      const list = {
        doing: `reading the reviews of ${thread(name, number)}`,
        page: (part: object) => api.repos.repoListPullReviews(...numbered(name, number), part),
        schema: answers.reviews,
      };
      const seen = (await readAll(calls, list, [404, 204]))?.items ?? [];
      return seen
        .filter((review) => review !== null)
        .map(shortened)
        .sort(byId);
    },

    async lineComments(name, number, reviewId) {
      const doing = `reading what review ${reviewId} of ${thread(name, number)} says at lines`;
      const [owner, repo, index] = numbered(name, number);
      const call = { doing, send: () => api.repos.repoGetPullReviewComments(owner, repo, index, reviewId) };
      const answer = await calls.read(call).catch((error: unknown) => {
        if (isTooLarge(error)) return null;
        throw error;
      });
      if (answer === null) return null;
      if (answer.status === 404 || answer.status === 204) return [];
      if (answer.status !== 200) throw calls.refusal(call, answer);
      // Servers tell them in any order.
      return check(doing, answer.data, answers.lineComments).map(shortened).sort(byId);
    },

    async postReview(name, number, { body, comments }) {
      const review = {
        event: "COMMENT" as never,
        body: redact(body.text),
        comments: comments.map((one) => ({ ...placeOf(one), body: redact(one.body.text) })),
      };
      const send = () => api.repos.repoCreatePullReview(...numbered(name, number), review);
      await calls.write({ doing: `answering at lines of ${thread(name, number)}`, send });
    },

    async dropPending(name, number) {
      const doing = `looking for unfinished reviews of ${thread(name, number)}`;
      const page = (part: object) => api.repos.repoListPullReviews(...numbered(name, number), part);
      // Only one's own are told.
      const found = await readAll(calls, { doing, page, schema: answers.pendingReviews }, [404, 204]);
      for (const { id } of found?.items ?? []) {
        const send = () => api.repos.repoDeletePullReview(...numbered(name, number), id);
        await calls.write({
          doing: `removing an unfinished review of ${thread(name, number)}`,
          send,
          isDoneWhenMissing: true,
        });
      }
    },

    async replyAtLine(name, number, { reviewId, body, ...place }) {
      const doing = `answering at a line of ${thread(name, number)}`;
      const [owner, repo, index] = numbered(name, number);
      const path = `/repos/${owner}/${repo}/pulls/${index}/reviews/${reviewId}/comments`;
      const reply = { ...placeOf(place), body: redact(body.text) };
      const send = () =>
        api.request({ path, method: "POST", body: reply, secure: true, type: JSON_TYPE, format: "json" });
      return calls.writeWhere({ doing, send }, NO_SUCH_CALL);
    },

    async requestReview(name, number, login) {
      const send = () =>
        api.repos.repoCreatePullReviewRequests(...numbered(name, number), { reviewers: [login] });
      await calls.write({ doing: `requesting a review of ${thread(name, number)} from ${login}`, send });
    },

    async merge(name, number, { commit, style, removesBranch }) {
      const wanted = {
        Do: (style === "" ? "merge" : style) as never,
        head_commit_id: commit,
        delete_branch_after_merge: removesBranch,
      };
      const send = () => api.repos.repoMergePullRequest(...numbered(name, number), wanted);
      const call = { doing: `merging ${thread(name, number)}`, send };
      const answer = await calls.writeOnce(call);
      if (answer.status < 300) return { kind: "merged" };
      const isLater = TRY_AGAIN.test(JSON.stringify(answer.data ?? ""));
      return { kind: "refused", why: calls.refusal(call, answer).message, isLater };
    },

    async withdrawReviewRequest(name, number, login) {
      const send = () =>
        api.repos.repoDeletePullReviewRequests(...numbered(name, number), { reviewers: [login] });
      const doing = `taking back the request of a review of ${thread(name, number)} from ${login}`;
      await calls.write({ doing, send, isDoneWhenMissing: true });
    },
  };
}

/** @see Gitea routers/api/v1/repo/pull.go: it still looks at what was pushed, or there is a conflict. */
const TRY_AGAIN = /try again later/i;
const JSON_TYPE = "application/json" as never;

function placeOf({ path, line, oldLine }: Place) {
  return { path, new_position: line, old_position: oldLine };
}
