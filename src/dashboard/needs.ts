import { type Cell, includesRole, type Role, type Run } from "../cells/cell.ts";
import { heldFor } from "../cells/steps/decide.ts";
import { needOf } from "../commands/words/card-headline.ts";
import type { DashboardDeps, Viewer } from "./deps.ts";

/** What a cell waits for that only a person can give. */
export interface Need {
  readonly cell: Cell;
  readonly what: string;
  /** `you`, `dev, who asked`, `a director (owner)`. */
  readonly whom: string;
  readonly isYours: boolean;
  /** Epoch ms. */
  readonly since: number;
  /** What helps: the verb of its button. */
  readonly verb: "approve" | "publish" | "tell" | "revive";
}

/** Null: it waits for nobody. */
export function needFor(
  cell: Cell,
  at: {
    readonly d: DashboardDeps;
    readonly viewer: Viewer;
    readonly role: Role | null;
    /** The last run that worked, if there is one. */
    readonly run: Run | undefined;
  },
): Need | null {
  const run = at.run ?? at.d.registry.lastRun(cell.id);
  const found = find(cell, run);
  if (found === null) return null;
  const { what, verb, needed } = found;
  const may = at.role !== null && includesRole(at.role, needed);
  const isAsker = cell.requester.id === at.viewer.person.id && cell.requester.id !== null;
  const isYours = may && (needed === "director" || isAsker || at.viewer.person.id === null);
  return {
    cell,
    what,
    verb,
    isYours,
    whom: isYours ? "you" : whom(cell, needed, at.d),
    since: run?.endedAt ?? cell.createdAt,
  };
}

interface Found {
  readonly what: string;
  readonly verb: Need["verb"];
  readonly needed: Role;
}

function find(cell: Cell, run: Run | null): Found | null {
  if (cell.state === "proposed" && cell.waitsForApproval)
    return { what: cell.approval ?? "approval", verb: "approve", needed: "director" };
  if (cell.state !== "idle") return null;
  const isEnded = run?.state === "ended";
  const need = run !== null && isEnded ? needOf(run) : null;
  if (need !== null)
    return { what: need, needed: "executor", verb: run?.exitClass === "question" ? "tell" : "revive" };
  const isLate = cell.harvest?.tip != null && cell.harvest.tip !== cell.publishedTip;
  const held = isLate ? heldFor(cell) : [];
  if (held.length > 0) return { what: `held back: ${held[0]}`, verb: "publish", needed: "director" };
  if (cell.pushRefused !== null && isLate)
    return { what: `the forge refused the push: ${cell.pushRefused}`, verb: "publish", needed: "director" };
  if (cell.breaker !== null) return { what: cell.breaker, verb: "revive", needed: "executor" };
  return null;
}

function whom(cell: Cell, needed: Role, { config }: DashboardDeps): string {
  if (needed !== "director") return `${cell.requester.login}, who asked`;
  return config.directors.length === 0 ? "a director" : `a director (${config.directors.join(", ")})`;
}
