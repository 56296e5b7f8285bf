import { sha256 } from "../hash.ts";
import type { Delivered } from "../protocol/delivered.ts";
import type { Entry } from "./read-thread.ts";

/**
 * Whether a text is another one than was typed: its second of change is not that of its making, or it is not
 * what each of its deliveries held. An edit changes that second. Gitea itself may: it reads its clock twice
 * for a new comment (xorm, `session_insert.go`), so that one made as a second ends is taken for edited.
 */
export function wasEdited(entry: Entry, delivered: Delivered): "no" | "command" | "silently" {
  // Comments of both kinds count in one sequence of ids.
  const seen = entry.source !== "review" ? delivered[String(entry.id)] : undefined;
  const isTouched = entry.updatedAt !== entry.createdAt;
  if (seen === undefined) return isTouched ? "silently" : "no";
  // Of what was cut nobody knows the hash; it is not run anyway.
  const isSame = entry.isCut === true || seen.body === sha256(entry.body);
  if (!isTouched && seen.isDisputed !== true && isSame) return "no";
  return seen.hadCommand ? "command" : "silently";
}
