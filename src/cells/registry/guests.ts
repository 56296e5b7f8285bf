import * as z from "zod";
import type { Db } from "../../store/db.ts";
import { type Member, ROLES, type Role } from "../cell.ts";

/** A person who has a role in a cell by invitation, whatever they may do on its target. */
export interface Guest {
  readonly cellId: string;
  readonly userId: number;
  /** As it was called when it was invited. */
  readonly login: string;
  readonly role: Role;
  /** When it ends, epoch ms; null: with the cell. */
  readonly until: number | null;
  /** Who invited. */
  readonly by: string;
  /** Epoch ms. */
  readonly at: number;
  /** Somebody ended it, or noticed that its time was over; null: neither. */
  readonly endedAt: number | null;
}

/** The people who are guests of cells. All methods are synchronous and join the caller's transaction. */
export interface Guests {
  /** Invites somebody, or changes what was agreed before. */
  invite(guest: Omit<Guest, "endedAt">): void;
  /** Ends it now. */
  end(cellId: string, userId: number, at: number): void;
  /** Those whose invitation was not ended, whether or not its time is over. */
  of(cellId: string): Guest[];
  /** What was agreed with somebody last, also where it was ended. */
  find(cellId: string, userId: number): Guest | null;
  /** Those whose time is over and who were not ended yet. */
  overAt(now: number): Guest[];
}

const row = z.object({
  cell: z.string(),
  user_id: z.number(),
  login: z.string(),
  role: z.enum(ROLES),
  until: z.number().nullable(),
  by_login: z.string(),
  at: z.number(),
  ended_at: z.number().nullable(),
});

export function createGuests({ sql }: Pick<Db, "sql">): Guests {
  const all = (query: string, bound: object) => sql.prepare(query).all(bound).map(fromRow);
  return {
    invite({ cellId, userId, login, role, until, by, at }) {
      sql.prepare(INVITE).run({ cellId, userId, login, role, until, by, at });
    },
    end(cellId, userId, at) {
      sql.prepare(END).run({ cellId, userId, at });
    },
    of: (cellId) => all(`${ALL} WHERE cell = @cellId AND ended_at IS NULL ORDER BY at, user_id`, { cellId }),
    find: (cellId, userId) =>
      all(`${ALL} WHERE cell = @cellId AND user_id = @userId`, { cellId, userId })[0] ?? null,
    overAt: (now) => all(`${ALL} WHERE ended_at IS NULL AND until IS NOT NULL AND until <= @now`, { now }),
  };
}

/** Whether somebody is a guest at that time (epoch ms): asked when it matters, never when it passes. */
export function isGuestAt(guest: Pick<Guest, "until" | "endedAt">, now: number): boolean {
  return guest.endedAt === null && (guest.until === null || guest.until > now);
}

/** Those who are guests at that time, as members. */
export function membersOf(guests: readonly Guest[], now: number): Member[] {
  return guests
    .filter((guest) => isGuestAt(guest, now))
    .map(({ login, role, until }) => ({ name: login, kind: "user", role, until }));
}

function fromRow(read: unknown): Guest {
  const { cell, user_id, by_login, ended_at, ...rest } = row.parse(read);
  return { ...rest, cellId: cell, userId: user_id, by: by_login, endedAt: ended_at };
}

const ALL = "SELECT * FROM guests";
const INVITE = `
  INSERT INTO guests (cell, user_id, login, role, until, by_login, at)
  VALUES (@cellId, @userId, @login, @role, @until, @by, @at)
  ON CONFLICT (cell, user_id) DO UPDATE SET
    login = @login, role = @role, until = @until, by_login = @by, at = @at, ended_at = NULL`;
const END =
  "UPDATE guests SET ended_at = @at WHERE cell = @cellId AND user_id = @userId AND ended_at IS NULL";
