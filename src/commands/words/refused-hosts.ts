import type { Run } from "../../cells/cell.ts";
import { c, type Sentence, say } from "./sentence.ts";

const MOST_SHOWN = 10;
const WIDEST = 100;

/**
 * Which hosts a run asked for in vain, and what decides that; null where there were none. The names are the
 * agent's.
 */
export function refusedHosts(run: Pick<Run, "agent" | "refusedHosts">): Sentence | null {
  const hosts = [...new Set(run.refusedHosts)];
  if (hosts.length === 0) return null;
  const shown = hosts.slice(0, MOST_SHOWN).map((host) => say`${c(cut(host))}`);
  const names = shown.reduce((all, next) => say`${all}, ${next}`);
  const more = hosts.length > MOST_SHOWN ? ` and ${hosts.length - MOST_SHOWN} more` : "";
  return say`${run.agent} asked for ${names}${more}, refused. An operator lists in ${c(`agents.${run.agent}.network`)} what it may reach.`;
}

function cut(written: string): string {
  const host = written.replace(/[^\w.:[\]-]/g, "?");
  return host.length > WIDEST ? `${host.slice(0, WIDEST - 1)}…` : host;
}
