import { includesRole } from "../cells/cell.ts";
import { roleOnThread } from "../commands/access/role-on-thread.ts";
import type { Deps } from "../commands/command.ts";
import type { Parsed } from "../commands/parsing/parse.ts";
import { findMarker } from "../gitea/markdown.ts";
import { wasEdited } from "./delivered.ts";
import type { Reading } from "./read-thread.ts";
import type { SeenEntries } from "./seen-entries.ts";

/** Whoever floods a thread with mistakes costs no more questions than this in one look. */
const MOST_ASKED = 20;

/** `trusted`: people with a role among those who are refused something as it is read. */
export type Heard = Reading & { readonly trusted: ReadonlySet<number> };

interface AskerDeps extends Pick<Deps, "registry" | "clock"> {
  readonly rights: Pick<Deps["rights"], "standing">;
  readonly handled: Pick<SeenEntries, "isMarked">;
  parse(text: string): Parsed[];
}

/**
 * Ids of people with write permission, or an invitation of that rank into a cell here, among those whose
 * commands are about to be refused as they are read: they are always told why.
 */
export async function refusedWithRole(reading: Reading, deps: AskerDeps): Promise<ReadonlySet<number>> {
  const { repository, number, entries, botId, since, delivered } = reading;
  const known = new Map<number, boolean>();
  for (const { source, id, author, body, createdAt, ...rest } of entries) {
    if (author.id === botId || createdAt < since || known.has(author.id) || known.size >= MOST_ASKED)
      continue;
    if (deps.handled.isMarked(repository.id, source, id) || findMarker(body) !== null) continue;
    const isEdited = wasEdited({ source, id, author, body, createdAt, ...rest }, delivered) === "command";
    if (!isEdited && deps.parse(body).every((one) => one.kind !== "problem")) continue;
    const role = await roleOnThread(author, { repository, number }, deps);
    known.set(author.id, role !== null && includesRole(role, "executor"));
  }
  return new Set([...known].flatMap(([id, hasRole]) => (hasRole ? [id] : [])));
}
