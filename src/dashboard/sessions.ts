import { randomBytes } from "node:crypto";
import * as z from "zod";
import type { Clock } from "../clock.ts";
import { sha256 } from "../hash.ts";
import type { Db } from "../store/db.ts";

/** How somebody likes the pages. */
export interface Taste {
  /** Null: as the browser says. */
  readonly theme: "light" | "dark" | null;
  readonly hasKeys: boolean;
}

/** Somebody who is signed in with one browser. */
export interface Session extends Taste {
  /** SHA-256 of what the cookie holds: what opens a session is stored nowhere. */
  readonly id: string;
  /** Null: the operator, by a one-time link. */
  readonly userId: number | null;
  readonly login: string;
  readonly madeAt: number;
  readonly seenAt: number;
  readonly endsAt: number;
}

const row = z
  .object({
    id_sha256: z.string(),
    user_id: z.number().nullable(),
    login: z.string(),
    made_at: z.number(),
    seen_at: z.number(),
    ends_at: z.number(),
    theme: z.enum(["light", "dark"]).nullable(),
    has_keys: z.number(),
  })
  .transform(
    (one): Session => ({
      id: one.id_sha256,
      userId: one.user_id,
      login: one.login,
      madeAt: one.made_at,
      seenAt: one.seen_at,
      endsAt: one.ends_at,
      theme: one.theme,
      hasKeys: one.has_keys !== 0,
    }),
  );

/** A sign-in under way. */
export interface Begun {
  readonly verifier: string;
  readonly to: string;
}

export const LINK_MS = 60_000;
export const LOGIN_MS = 10 * 60_000;
const SEEN_MS = 60_000;
const KEPT_MS = 30 * 24 * 60 * 60_000;

export interface Sessions {
  /** Answers what the cookie is to hold. */
  begin(person: { readonly id: number | null; readonly login: string }, lastsMs: number): string;
  /** Of what a cookie holds; null: of none that lasts. */
  find(secret: string): Session | null;
  /** Whether a session still lasts: streams ask it again and again. */
  lasts(id: string): boolean;
  /** All that last of one person. */
  of(person: Pick<Session, "userId" | "login">): Session[];
  end(id: string): void;
  set(id: string, taste: Taste): void;
  /** A one-time link for the operator; answers its secret. */
  makeLink(login: string): string;
  /** Uses it up; null: there is none, it was used, or its time is over. */
  takeLink(secret: string): { readonly login: string } | null;
  /** Writes a sign-in down, under `state`, for the browser that began it. */
  beginLogin(what: Begun & { readonly state: string; readonly browser: string }): void;
  /** Takes it out, whatever it was; null: there is none, it is too old, or another browser began it. */
  takeLogin(state: string, browser: string): Begun | null;
}

/** A secret nobody can guess: 256 bits. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/** Sessions in the registry, by hashes alone: whoever reads the file cannot sign in. */
export function createSessions(db: Db, clock: Pick<Clock, "now">): Sessions {
  const { sql } = db;
  const inOne = <T>(fn: () => T): T => db.transaction(fn);
  const lasting = "ended_at IS NULL AND ends_at > @now AND made_at <= @now";
  return {
    begin({ id, login }, lastsMs) {
      const [secret, now] = [newSecret(), clock.now()];
      inOne(() => {
        sql.prepare("DELETE FROM sessions WHERE ends_at < @before").run({ before: now - KEPT_MS });
        sql
          .prepare(
            "INSERT INTO sessions (id_sha256, user_id, login, made_at, seen_at, ends_at) VALUES (@hash, @id, @login, @now, @now, @ends)",
          )
          .run({ hash: sha256(secret), id, login, now, ends: now + lastsMs });
      });
      return secret;
    },
    find(secret) {
      const [now, hash] = [clock.now(), sha256(secret)];
      const found = sql
        .prepare(`SELECT * FROM sessions WHERE id_sha256 = @hash AND ${lasting}`)
        .get({ hash, now });
      if (found === undefined) return null;
      const session = row.parse(found);
      if (now - session.seenAt > SEEN_MS)
        sql.prepare("UPDATE sessions SET seen_at = @now WHERE id_sha256 = @hash").run({ now, hash });
      return session;
    },
    lasts: (id) =>
      sql
        .prepare(`SELECT 1 FROM sessions WHERE id_sha256 = @id AND ${lasting}`)
        .get({ id, now: clock.now() }) !== undefined,
    of: ({ userId, login }) =>
      sql
        .prepare(
          `SELECT * FROM sessions WHERE user_id IS @userId AND login = @login AND ${lasting} ORDER BY made_at`,
        )
        .all({ userId, login, now: clock.now() })
        .map((one) => row.parse(one)),
    end(id) {
      sql
        .prepare("UPDATE sessions SET ended_at = @now WHERE id_sha256 = @id AND ended_at IS NULL")
        .run({ id, now: clock.now() });
    },
    set(id, { theme, hasKeys }) {
      sql
        .prepare("UPDATE sessions SET theme = @theme, has_keys = @keys WHERE id_sha256 = @id")
        .run({ id, theme, keys: Number(hasKeys) });
    },
    makeLink(login) {
      const secret = newSecret();
      sql
        .prepare("INSERT INTO login_links (sha256, login, ends_at) VALUES (@hash, @login, @ends)")
        .run({ hash: sha256(secret), login, ends: clock.now() + LINK_MS });
      return secret;
    },
    takeLink(secret) {
      return inOne(() => {
        const now = clock.now();
        const found = sql
          .prepare("DELETE FROM login_links WHERE sha256 = @hash RETURNING login, ends_at AS endsAt")
          .get({ hash: sha256(secret) }) as { login: string; endsAt: number } | undefined;
        sql.prepare("DELETE FROM login_links WHERE ends_at < @now").run({ now });
        // One that ends later than one made now could was made before the clock was set back.
        const isGood = found !== undefined && found.endsAt > now && found.endsAt <= now + LINK_MS;
        return isGood ? { login: found.login } : null;
      });
    },
    beginLogin({ state, browser, verifier, to }) {
      const now = clock.now();
      inOne(() => {
        sql.prepare("DELETE FROM logins WHERE at < @before").run({ before: now - LOGIN_MS });
        sql
          .prepare(
            "INSERT INTO logins (state_sha256, browser_sha256, verifier, to_path, at) VALUES (@state, @browser, @verifier, @to, @now)",
          )
          .run({ state: sha256(state), browser: sha256(browser), verifier, to, now });
      });
    },
    takeLogin(state, browser) {
      const found = sql
        .prepare(
          "DELETE FROM logins WHERE state_sha256 = @state RETURNING verifier, to_path AS 'to', at, browser_sha256 AS browser",
        )
        .get({ state: sha256(state) }) as (Begun & { at: number; browser: string }) | undefined;
      if (found === undefined || found.browser !== sha256(browser)) return null;
      return clock.now() - found.at > LOGIN_MS ? null : { verifier: found.verifier, to: found.to };
    },
  };
}
