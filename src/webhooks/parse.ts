import * as z from "zod";
import type { Event, Thread } from "./event.ts";

// Shapes as real servers send them (test/fixtures/gitea); only what is used.
const repository = z.object({ id: z.number(), full_name: z.string().max(300) });
const sender = z.object({ id: z.number() });
const issue = z.object({ number: z.number(), title: z.string(), body: z.string().nullish() });
const comment = z.object({ id: z.number(), body: z.string().nullish() });

const commentPayload = z.object({ action: z.string(), repository, sender, issue, comment });
const issuePayload = z.object({ action: z.string(), repository, sender, number: z.number() });

/** The delivery's payload, already parsed as JSON, in the shape its event type promises. */
export type Payload = unknown;

/** A `created` comment, with what it and its issue said at that moment. */
export function commentCreated(payload: Payload): Event {
  const parsed = commentPayload.safeParse(payload);
  if (!parsed.success) return unreadable(parsed.error);
  const { data } = parsed;
  return {
    kind: "comment-created",
    thread: {
      repository: repositoryOf(data.repository),
      number: data.issue.number,
      senderId: data.sender.id,
    },
    comment: { id: data.comment.id, body: data.comment.body ?? "" },
    issue: { title: data.issue.title, body: data.issue.body ?? "" },
  };
}

/** A comment was deleted: what it asked for may be withdrawn. */
export function commentDeleted(payload: Payload): Event {
  const parsed = commentPayload.safeParse(payload);
  if (!parsed.success) return unreadable(parsed.error);
  const { data } = parsed;
  return {
    kind: "thread-moved",
    thread: {
      repository: repositoryOf(data.repository),
      number: data.issue.number,
      senderId: data.sender.id,
    },
  };
}

/** An issue, a pull request or a review: the thread is to be looked at. */
export function threadMoved(payload: Payload): Event {
  const parsed = issuePayload.safeParse(payload);
  if (!parsed.success) return unreadable(parsed.error);
  const { data } = parsed;
  const thread: Thread = {
    repository: repositoryOf(data.repository),
    number: data.number,
    senderId: data.sender.id,
  };
  return { kind: "thread-moved", thread };
}

// Made once: zod compiles each object when it reads for the first time.
const withAction = z.object({ action: z.string() });
const withSender = z.object({ sender });
const withName = z.object({ repository: z.object({ full_name: z.string() }) });
const withRepository = z.object({ repository });

/** The `action` of a payload; empty where it has none (push, create, delete, status). */
export function actionOf(payload: Payload): string {
  const parsed = withAction.safeParse(payload);
  return parsed.success ? parsed.data.action : "";
}

/** Who did it; null where the payload does not say. */
export function senderOf(payload: Payload): number | null {
  const parsed = withSender.safeParse(payload);
  return parsed.success ? parsed.data.sender.id : null;
}

/** Of which repository a delivery is; null where it names none. */
export function repositoryNameOf(payload: Payload): string | null {
  const parsed = withName.safeParse(payload);
  return parsed.success ? parsed.data.repository.full_name : null;
}

/** The same with its id; null where it does not tell both. */
export function namedRepositoryOf(payload: Payload): { id: number; fullName: string } | null {
  const parsed = withRepository.safeParse(payload);
  return parsed.success ? repositoryOf(parsed.data.repository) : null;
}

function repositoryOf(raw: z.infer<typeof repository>) {
  return { id: raw.id, fullName: raw.full_name };
}

function unreadable(error: z.ZodError): Event {
  const first = error.issues[0];
  return {
    kind: "ignored",
    reason: `its payload is not of the known shape (${first?.path.join(".") ?? ""}: ${first?.message ?? ""})`,
  };
}
