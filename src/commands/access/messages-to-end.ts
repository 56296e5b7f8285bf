import { type Cell, includesRole } from "../../cells/cell.ts";
import type { Message } from "../../cells/registry/messages.ts";
import type { Ended } from "../../cells/telling.ts";
import { LazarusError } from "../../errors.ts";
import type { Deps } from "../command.ts";
import { reactable } from "../posting/answer.ts";
import { nameOf } from "../rights.ts";
import { lostRight, standingIn } from "./standing-in.ts";

type LookDeps = Pick<Deps, "registry" | "forge" | "rights" | "clock">;

/**
 * Those messages of a cell that must not be given any more: whoever wrote them deleted the comment, or lost
 * the right. Asked before a run starts.
 * @throws LazarusError `forge-refused` where the forge does not tell rights.
 */
export async function messagesToEnd(cell: Cell, deps: LookDeps): Promise<Ended[]> {
  const ended: Ended[] = [];
  const lost = new Map<number | null, string | null>();
  for (const message of deps.registry.messages.waiting(cell.id)) {
    const { author, id } = message;
    if (await isDeleted(message, deps)) {
      ended.push({ id, state: "retracted", why: "its comment was deleted" });
      continue;
    }
    if (!lost.has(author.id)) lost.set(author.id, await whyNoExecutor(message, cell, deps));
    const why = lost.get(author.id) ?? null;
    if (why !== null) ended.push({ id, state: "dropped", why });
  }
  return ended;
}

/** Whether what told an agent something is gone: a comment, one at a line, or what a review is there. */
export async function isDeleted({ asker }: Message, deps: Pick<Deps, "forge">): Promise<boolean> {
  const commentId = asker.via === "forge" ? reactable(asker) : null;
  if (asker.via !== "forge" || commentId === null) return false;
  return (await deps.forge.reactors(nameOf(asker.repository), commentId)) === null;
}

/** Null where whoever wrote it still may. */
async function whyNoExecutor({ author }: Message, cell: Cell, deps: LookDeps): Promise<string | null> {
  const standing = await standingIn(cell, author, deps);
  if (standing.kind === "unknowable") throw new LazarusError("forge-refused", standing.why);
  if (standing.role !== null && includesRole(standing.role, "executor")) return null;
  return lostRight(author.login, cell, { ...standing, needed: "executor" });
}
