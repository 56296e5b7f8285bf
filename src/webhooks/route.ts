import type { Event } from "./event.ts";
import { actionOf, commentCreated, commentDeleted, type Payload, threadMoved } from "./parse.ts";

/** `X-Gitea-Event-Type` and action -> what it means; a type alone stands for all its other actions. */
const ROUTES: Readonly<Record<string, (payload: Payload) => Event>> = {
  "issue_comment.created": commentCreated,
  "issue_comment.deleted": commentDeleted,
  "pull_request_comment.created": commentCreated,
  "pull_request_comment.deleted": commentDeleted,
  "pull_request_review_approved.reviewed": threadMoved,
  "pull_request_review_rejected.reviewed": threadMoved,
  "pull_request_review_comment.reviewed": threadMoved,
  "issues.opened": threadMoved,
  "issues.edited": threadMoved,
  "issues.deleted": threadMoved,
  "issues.closed": threadMoved,
  "issues.reopened": threadMoved,
  "pull_request.opened": threadMoved,
  "pull_request.closed": threadMoved,
  "pull_request.reopened": threadMoved,
};

/**
 * Reads a delivery by its fine event type, since the coarse one is ambiguous and may be empty. Never throws.
 */
export function route(eventType: string, payload: Payload): Event {
  const action = actionOf(payload);
  const handler = ROUTES[`${eventType}.${action}`];
  if (handler === undefined) {
    const what = action === "" ? eventType : `${eventType} ${action}`;
    return {
      kind: "ignored",
      reason: eventType === "" ? "it names no event type" : `nothing follows from ${what}`,
    };
  }
  return handler(payload);
}
