import type { Cell, Role } from "../cells/cell.ts";
import type { Deps } from "../commands/command.ts";
import type { Log } from "../log.ts";
import type { Db } from "../store/db.ts";
import type { Html } from "./html.ts";
import type { Place } from "./place.ts";
import type { Session, Sessions } from "./sessions.ts";

/** The end of a log, secrets hidden, without what moves a terminal. */
export interface LogEnd {
  readonly text: string;
  /** There is more before it. */
  readonly cut: boolean;
}

/** One file that an agent left for people. */
export interface Artifact {
  /** Below `artifacts/`. */
  readonly path: string;
  readonly bytes: number;
}

/** What lies on a runner's disk: the dashboard itself touches none. */
export interface CellFiles {
  /** `isRaw`: as the agent wrote it, else what it did in words. Refused where secrets could not be hidden. */
  log(cell: Cell, what: { owner: string; n: number; isRaw: boolean; maxBytes: number }): Promise<LogEnd>;
  /** Of what nobody has published. */
  diff(cell: Cell, maxBytes: number): Promise<LogEnd>;
  artifacts(cell: Cell): Promise<readonly Artifact[]>;
  /** Its bytes, opened without following links; null: there is none of that name. */
  artifact(cell: Cell, path: string, maxBytes: number): Promise<{ bytes: Buffer; cut: boolean } | null>;
  /** Why nothing of the cell can be shown with its secrets hidden; null: it can. */
  unhidden(cell: Cell): string | null;
  /** Free bytes where cells lie. */
  free(): Promise<number>;
}

/** All that pages are made of. */
export interface DashboardDeps extends Deps {
  readonly db: Db;
  readonly log: Log;
  readonly files: CellFiles;
  /** Where people reach it, without a slash at its end. */
  readonly url: string;
  readonly version: string;
  notReady(): string[];
  redact(text: string): string;
  /** Calls the forge's OAuth2 endpoints, with its certificates and proxies. */
  readonly fetch: typeof fetch;
}

/** Somebody who is signed in. */
export interface Viewer {
  readonly session: Session;
  /** `id` null: the operator, by a one-time link. */
  readonly person: { readonly id: number | null; readonly login: string };
  readonly isOperator: boolean;
}

/** What one person sees: the repositories with cells that the forge lets them read. */
export interface Sight {
  /** Roles by repository; a repository that is not here is as one that is not there. */
  readonly roles: ReadonlyMap<number, Role>;
  /** Ids of these as a JSON list, as queries take them. */
  readonly ids: string;
  /** How many the forge told nothing about: they are hidden, and only that is said. */
  readonly unknown: number;
  /**
   * What somebody may do in a cell of a repository they see, an invitation counted; asked of the forge now.
   */
  live(cell: Cell): Promise<Role | null>;
  /** The same by what was known a minute ago at most. */
  inCell(cell: Cell): Role | null;
}

/** One look at one page. */
export interface Ask {
  readonly d: DashboardDeps;
  readonly place: Place;
  readonly sessions: Sessions;
  readonly viewer: Viewer;
  readonly sight: Sight;
  /** Parts of the path that vary. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The path with its query, as one comes back to it. */
  readonly path: string;
}

/** What a page tells programs. */
export type Data = Readonly<Record<string, unknown>>;

/** What a page shows. */
export interface Shown {
  readonly status?: number;
  readonly title: string;
  readonly main: Html;
  /** It goes on changing: what is open of it is brought up to date. */
  readonly isLive?: boolean;
  /** The same for programs; absent where there is nothing but words or a form. */
  readonly data?: () => Data;
}

export type Page = (ask: Ask) => Promise<Shown>;

/** Whether a role is enough; nobody's is. */
export function isEnough(role: Role | null, needed: Role): boolean {
  const order = ["observer", "executor", "director"];
  return role !== null && order.indexOf(role) >= order.indexOf(needed);
}
