import { PROTOCOL } from "../protocol/runner-facts.ts";
import type { Cell, Run } from "./cell.ts";
import { isLost } from "./lost.ts";
import type { RunnerRow } from "./registry/runners.ts";
import { LOCAL_RUNNER } from "./runner-jobs.ts";
import { isOnlyStored } from "./stored-seal.ts";

/** A host that cells may run on, as it is just now. */
export interface Host {
  readonly name: string;
  /** Why nothing is begun there; null: something may be. */
  readonly closed: string | null;
  /** Why no new cell goes there, though it goes on with those that it has. */
  readonly closedToNew: string | null;
  readonly slots: number;
  readonly busy: number;
  readonly labels: readonly string[];
  /** It knows how to bring back what control keeps. */
  readonly canFetch: boolean;
  /** Why an agent cannot run there; null: it can. */
  unfit(agent: string): string | null;
  hasMirror(repositoryId: number): boolean;
  /** A checked-out tree of it waits there for its next cell. */
  hasTree(repositoryId: number): boolean;
}

/** Where a run goes, or why it waits. */
export type Place = { readonly runner: string } | { readonly why: string };

/** A cell is given to a runner when its first run gets its place, and stays there while that is there. */
export function isPlaced(
  cell: Pick<Cell, "state" | "outcome" | "sealedAt" | "closing" | "stored">,
  run: Pick<Run, "n">,
): boolean {
  return !isLost(cell) && !isOnlyStored(cell) && (cell.state !== "proposed" || run.n > 1);
}

interface Wanted {
  readonly agent: string;
  /** Labels that the agent asks for. */
  readonly runsOn: readonly string[];
  readonly repositoryId: number;
  /** Where the cell lies; null: nowhere yet. */
  readonly on: string | null;
  /** It is brought back from what control keeps: where its runner is closed, on another one. */
  readonly isStored: boolean;
}

/**
 * Where a run goes: to the runner of its cell; a new cell to one that can run its agent and has a place,
 * one where a tree of the repository waits first, then one with its mirror, then the one with most places.
 * Pure.
 */
export function choosePlace(hosts: readonly Host[], wanted: Wanted): Place {
  const host = hosts.find((one) => one.name === wanted.on);
  const isOpen = host !== undefined && host.closed === null && host.closedToNew === null;
  if (wanted.on !== null && (!wanted.isStored || isOpen)) {
    if (host === undefined) return { why: `its runner ${wanted.on} is not here` };
    const why = host.closed ?? noRoom(host);
    return why === null ? { runner: host.name } : { why };
  }
  const able = hosts.filter((host) => host.slots > 0 || host.name !== LOCAL_RUNNER);
  const refusals = able.map((host) => [host, whyNot(host, wanted)] as const);
  const open = refusals.flatMap(([host, why]) => (why === null ? [host] : []));
  const best = open.sort(
    (a, b) => rank(b, wanted) - rank(a, wanted) || freeIn(b) - freeIn(a) || (a.name < b.name ? -1 : 1),
  )[0];
  if (best !== undefined) return { runner: best.name };
  if (refusals.length === 0) return { why: "there is no runner: lazarus runner add NAME" };
  return {
    why: refusals
      .map(([host, why]) => `${host.name}: ${why}`)
      .slice(0, MOST_NAMED)
      .join("; "),
  };
}

const MOST_NAMED = 4;

function rank(host: Host, { repositoryId }: Wanted): number {
  if (host.hasTree(repositoryId)) return 2;
  return host.hasMirror(repositoryId) ? 1 : 0;
}

function freeIn(host: Host): number {
  return host.slots - host.busy;
}

function noRoom(host: Host): string | null {
  return host.busy < host.slots ? null : `all ${host.slots} places of ${host.name} are taken`;
}

function whyNot(host: Host, { agent, runsOn, isStored }: Wanted): string | null {
  if (isStored && !host.canFetch) return "is too old to bring back what is stored: upgrade it";
  const closed = host.closed ?? host.closedToNew;
  if (closed !== null) return closed;
  const missing = runsOn.find((label) => !host.labels.includes(label));
  if (missing !== undefined) return `has no label ${missing}`;
  return host.unfit(agent) ?? (host.busy < host.slots ? null : `all ${host.slots} places are taken`);
}

/** A runner elsewhere as a host. `isHere`: it is heard; `silence`: why it is not, in words. */
export function hostOf(row: RunnerRow, at: { readonly silence: string | null; readonly busy: number }): Host {
  const { facts, standing } = row;
  const mirrors = new Set(standing?.mirrors ?? []);
  return {
    name: row.name,
    closed: at.silence,
    closedToNew: closedFor(row),
    slots: facts?.slots ?? 0,
    busy: at.busy,
    labels: facts?.labels ?? [],
    canFetch: facts?.kinds.includes("store") === true,
    unfit(agent) {
      const known = facts?.agents.find((one) => one.name === agent);
      return known === undefined ? `has no agent ${agent}` : known.unavailable;
    },
    hasMirror: (repositoryId) => mirrors.has(repositoryId),
    hasTree: (repositoryId) => standing?.trees.includes(repositoryId) === true,
  };
}

function closedFor({ draining, facts, standing, trouble }: RunnerRow): string | null {
  if (draining) return "it is being drained";
  if (facts !== null && facts.protocol !== PROTOCOL)
    return `its version ${facts.version} ${facts.protocol < PROTOCOL ? "is too old" : "is too new"}; upgrade ${facts.protocol < PROTOCOL ? "it" : "Lazarus"}`;
  return standing?.full ?? trouble;
}
