import * as z from "zod";
import { forgeAsker } from "../../protocol/asker.ts";
import type { Db } from "../../store/db.ts";
import { changeRow } from "./rows.ts";

/** A repository as it is called now, and where people open it. */
export interface NamedRepository {
  readonly id: number;
  readonly fullName: string;
  readonly htmlUrl: string;
}

/** What the rows of cells say of repositories. All of it joins the caller's transaction. */
export interface RepositoryRows {
  /** By which other names than this one the rows know the repository; empty where none does. */
  otherNames(repository: Pick<NamedRepository, "id" | "fullName">): string[];
  /** Gives it this name everywhere. Answers the ids of its cells. */
  rename(repository: NamedRepository): string[];
  /**
   * Writes down why nothing can be published there; null: it can. Answers the cells for which that is new.
   */
  trouble(id: number, why: string | null): string[];
  /** The repositories of cells that are not archived yet. */
  inUse(): { readonly id: number; readonly fullName: string }[];
}

const row = z.object({
  id: z.string(),
  repository: z.number(),
  full_name: z.string(),
  number: z.number(),
  is_pull_request: z.number(),
  merge_into: z.string(),
  pull_request_repository: z.string().nullable(),
  asked: z.string().nullable(),
});
type Row = z.infer<typeof row>;

const mergeInto = z.object({ repository: z.string(), branch: z.string() });

export function createRepositoryRows(db: Db): RepositoryRows {
  const { sql } = db;
  const statements = {
    names: sql
      .prepare(
        `SELECT full_name FROM cells WHERE repository = @id AND full_name <> @fullName
         UNION SELECT full_name FROM proposals WHERE repository = @id AND full_name <> @fullName`,
      )
      .pluck(),
    // Somebody may have asked here for a cell that works elsewhere, or a draft of another's may lie here.
    touched: sql.prepare(
      `SELECT id, repository, full_name, number, is_pull_request, merge_into, pull_request_repository, asked FROM cells
       WHERE repository = @id OR json_extract(asked, '$.repository.id') = @id
         OR lower(pull_request_repository) IN (SELECT lower(value) FROM json_each(@old))`,
    ),
    messages: sql.prepare(
      `UPDATE messages SET asker = json_set(asker, '$.repository.fullName', @fullName)
       WHERE state = 'waiting' AND json_extract(asker, '$.repository.id') = @id`,
    ),
    proposals: sql.prepare("UPDATE proposals SET full_name = @fullName WHERE repository = @id"),
    trouble: sql
      .prepare(
        `UPDATE cells SET repository_trouble = @why
         WHERE repository = @id AND state <> 'destroyed' AND repository_trouble IS NOT @why RETURNING id`,
      )
      .pluck(),
    inUse: sql.prepare(
      `SELECT DISTINCT repository AS id, full_name AS fullName FROM cells
       WHERE state <> 'destroyed' AND state IN ('proposed','active','idle','closing') ORDER BY repository`,
    ),
  };
  const otherNames = ({ id, fullName }: Pick<NamedRepository, "id" | "fullName">) =>
    statements.names.all({ id, fullName }) as string[];
  return {
    otherNames,

    rename(repository) {
      const old = otherNames(repository).map((name) => name.toLowerCase());
      const rows = statements.touched.all({ id: repository.id, old: JSON.stringify(old) });
      const own: string[] = [];
      for (const one of rows.map((each) => row.parse(each))) {
        changeRow(db, "cells", renamed(one, repository, old), { id: one.id });
        if (one.repository === repository.id) own.push(one.id);
      }
      statements.messages.run({ id: repository.id, fullName: repository.fullName });
      statements.proposals.run({ id: repository.id, fullName: repository.fullName });
      return own;
    },

    trouble: (id, why) => statements.trouble.all({ id, why }) as string[],
    inUse: () => statements.inUse.all() as { id: number; fullName: string }[],
  };
}

/** The columns of a cell that bear the name. */
function renamed(cell: Row, repository: NamedRepository, old: readonly string[]): Record<string, unknown> {
  const now = (name: string) => (old.includes(name.toLowerCase()) ? repository.fullName : name);
  const asked = cell.asked === null ? null : forgeAsker.parse(JSON.parse(cell.asked));
  const isAskedHere = asked?.repository.id === repository.id;
  const of = cell.pull_request_repository;
  const into = mergeInto.parse(JSON.parse(cell.merge_into));
  const own = {
    full_name: repository.fullName,
    issue_url: `${repository.htmlUrl}/${cell.is_pull_request === 0 ? "issues" : "pulls"}/${cell.number}`,
    merge_into: JSON.stringify({ ...into, repository: now(into.repository) }),
  };
  return {
    pull_request_repository: of === null ? null : now(of),
    asked: isAskedHere
      ? JSON.stringify({ ...asked, repository: { id: repository.id, fullName: repository.fullName } })
      : cell.asked,
    ...(cell.repository === repository.id ? own : {}),
  };
}
