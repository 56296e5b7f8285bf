import type { DashboardRig } from "./dashboard-rig.ts";

/** Fills a registry: a quarter is archived, a quarter destroyed, and the half that is idle waits for a person. */
export function fillWithCells(rig: DashboardRig, count: number): void {
  const made = rig.idle({ repository: rig.repository, number: rig.at.number });
  const columns = (rig.db.sql.pragma("table_info(cells)") as { name: string }[]).map(({ name }) => name);
  const copied = columns.filter((name) => !["id", "seq", "branch", "title", "state"].includes(name));
  rig.db.sql
    .prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
       INSERT INTO cells (id, seq, branch, title, state, ${copied.join(", ")})
       SELECT printf('%08x-1111-4222-8333-444455556666', i), i + 1, 'lazarus/' || i, 'The issue of number ' || i,
         CASE i % 4 WHEN 0 THEN 'idle' WHEN 1 THEN 'idle' WHEN 2 THEN 'archived' ELSE 'destroyed' END, ${copied.join(", ")} FROM n, cells WHERE id = @id`,
    )
    .run({ id: made.id });
  rig.db.sql.exec("UPDATE cells SET breaker = 'it crashed three times' WHERE state = 'idle'");
}
