import * as z from "zod";
import type { Db } from "../../store/db.ts";
import type { Requester } from "../cell.ts";

/** An agent that works in a cell after its first one. */
export interface TeamMember {
  /** In the order of their turns; the cell's own agent is 1. */
  readonly place: number;
  readonly agent: string;
  /** The run that its turn began with; null: it waits for its turn. */
  readonly run: number | null;
  /** Who invited it; null: it is of the team that was asked for. */
  readonly by: Requester | null;
}

/** Who works in cells one after the other. All methods are synchronous and join the caller's transaction. */
export interface Team {
  add(cellId: string, agents: readonly string[]): void;
  /** Puts one that somebody invited behind all others. */
  append(cellId: string, agent: string, by: Requester): void;
  /** Takes out one whose turn has not begun. */
  remove(cellId: string, agent: string): void;
  /** In the order of their turns, without the cell's first agent; empty where it works alone. */
  of(cellId: string): TeamMember[];
  /** Those whose turn has not begun: a run that never started was none. */
  waiting(cellId: string): TeamMember[];
  begin(cellId: string, place: number, run: number): void;
}

const row = z.object({
  place: z.number(),
  agent: z.string(),
  run: z.number().nullable(),
  by_id: z.number().nullable(),
  by_login: z.string().nullable(),
});

export function createTeam({ sql }: Pick<Db, "sql">): Team {
  const all = (query: string, cellId: string) =>
    sql
      .prepare(query)
      .all({ cellId })
      .map((one): TeamMember => {
        const { by_id, by_login, ...rest } = row.parse(one);
        return { ...rest, by: by_login === null ? null : { id: by_id, login: by_login } };
      });
  return {
    add(cellId, agents) {
      for (const [index, agent] of agents.entries())
        sql.prepare(INSERT).run({ cellId, place: index + 2, agent });
    },
    append(cellId, agent, by) {
      sql.prepare(APPEND).run({ cellId, agent, byId: by.id, byLogin: by.login });
    },
    remove(cellId, agent) {
      const waiting = this.waiting(cellId).find((one) => one.agent === agent);
      if (waiting === undefined) return;
      const { place } = waiting;
      sql.prepare("DELETE FROM team WHERE cell = @cellId AND place = @place").run({ cellId, place });
    },
    of: (cellId) => all(`SELECT ${COLUMNS} FROM team WHERE cell = @cellId ORDER BY place`, cellId),
    waiting: (cellId) => all(WAITING, cellId),
    begin(cellId, place, run) {
      sql
        .prepare("UPDATE team SET run = @run WHERE cell = @cellId AND place = @place")
        .run({ cellId, place, run });
    },
  };
}

const COLUMNS = "place, agent, run, by_id, by_login";
const APPEND = `
  INSERT INTO team (cell, place, agent, by_id, by_login)
  VALUES (@cellId, (SELECT COALESCE(MAX(place), 1) + 1 FROM team WHERE cell = @cellId), @agent, @byId, @byLogin)`;
const INSERT = "INSERT INTO team (cell, place, agent) VALUES (@cellId, @place, @agent)";
const WAITING = `
  SELECT place, team.agent, NULL AS run, by_id, by_login FROM team LEFT JOIN runs ON runs.cell = team.cell AND runs.n = team.run
  WHERE team.cell = @cellId AND (team.run IS NULL OR runs.state = 'withdrawn'
    OR (runs.state = 'ended' AND runs.started_at IS NULL)) ORDER BY place`;
