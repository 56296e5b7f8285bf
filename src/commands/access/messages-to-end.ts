import { type Cell, includesRole } from "../../cells/cell.ts";
import type { Message } from "../../cells/registry/messages.ts";
import type { Ended } from "../../cells/telling.ts";
import { LazarusError } from "../../errors.ts";
import type { Deps } from "../command.ts";
import { reactable } from "../posting/answer.ts";
import { nameOf } from "../rights.ts";

type LookDeps = Pick<Deps, "registry" | "forge" | "rights">;

/**
 * Those messages of a cell that must not be given any more: whoever wrote them deleted the comment, or lost
 * the right. Asked before a run starts.
 * @throws LazarusError `forge-refused` where the forge does not tell rights.
 */
export async function messagesToEnd(cell: Cell, deps: LookDeps): Promise<Ended[]> {
  const ended: Ended[] = [];
  const mayTell = new Map<number | null, boolean>();
  for (const message of deps.registry.messages.waiting(cell.id)) {
    const { author, id } = message;
    if (await isDeleted(message, deps)) {
      ended.push({ id, state: "retracted", why: "its comment was deleted" });
      continue;
    }
    const may = mayTell.get(author.id) ?? (await isExecutor(message, cell, deps));
    mayTell.set(author.id, may);
    const why = `${author.login} no longer has write permission on ${cell.repository.fullName}`;
    if (!may) ended.push({ id, state: "dropped", why });
  }
  return ended;
}

/** Whether what told an agent something is gone: a comment, one at a line, or what a review is there. */
export async function isDeleted({ asker }: Message, deps: Pick<Deps, "forge">): Promise<boolean> {
  const commentId = asker.via === "forge" ? reactable(asker) : null;
  if (asker.via !== "forge" || commentId === null) return false;
  return (await deps.forge.reactors(nameOf(asker.repository), commentId)) === null;
}

async function isExecutor({ author }: Message, cell: Cell, deps: LookDeps): Promise<boolean> {
  const standing = await deps.rights.standing(author, cell.repository);
  if (standing.kind === "unknowable") throw new LazarusError("forge-refused", standing.why);
  return standing.role !== null && includesRole(standing.role, "executor");
}
