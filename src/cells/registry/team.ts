import * as z from "zod";
import type { Db } from "../../store/db.ts";

/** An agent that works in a cell after its first one. */
export interface TeamMember {
  /** In the order of their turns; the cell's own agent is 1. */
  readonly place: number;
  readonly agent: string;
  /** The run that its turn began with; null: it waits for its turn. */
  readonly run: number | null;
}

/** Who works in cells one after the other. All methods are synchronous and join the caller's transaction. */
export interface Team {
  add(cellId: string, agents: readonly string[]): void;
  /** In the order of their turns, without the cell's first agent; empty where it works alone. */
  of(cellId: string): TeamMember[];
  /** Those whose turn has not begun: a run that never started was none. */
  waiting(cellId: string): TeamMember[];
  begin(cellId: string, place: number, run: number): void;
}

const row = z.object({ place: z.number(), agent: z.string(), run: z.number().nullable() });

export function createTeam({ sql }: Pick<Db, "sql">): Team {
  const all = (query: string, cellId: string) =>
    sql
      .prepare(query)
      .all({ cellId })
      .map((one) => row.parse(one));
  return {
    add(cellId, agents) {
      for (const [index, agent] of agents.entries())
        sql.prepare(INSERT).run({ cellId, place: index + 2, agent });
    },
    of: (cellId) => all("SELECT place, agent, run FROM team WHERE cell = @cellId ORDER BY place", cellId),
    waiting: (cellId) => all(WAITING, cellId),
    begin(cellId, place, run) {
      sql
        .prepare("UPDATE team SET run = @run WHERE cell = @cellId AND place = @place")
        .run({ cellId, place, run });
    },
  };
}

const INSERT = "INSERT INTO team (cell, place, agent) VALUES (@cellId, @place, @agent)";
const WAITING = `
  SELECT place, team.agent, NULL AS run FROM team LEFT JOIN runs ON runs.cell = team.cell AND runs.n = team.run
  WHERE team.cell = @cellId AND (team.run IS NULL OR runs.state = 'withdrawn'
    OR (runs.state = 'ended' AND runs.started_at IS NULL)) ORDER BY place`;
