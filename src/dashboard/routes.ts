import type { Page } from "./deps.ts";
import { cell } from "./pages/cell.ts";
import { cells } from "./pages/cells.ts";
import { now } from "./pages/now.ts";
import { artifacts, brief, diff, history, runs } from "./pages/of-cell.ts";
import { job, queue } from "./pages/queue.ts";
import { agents, auditPage, health, help, me } from "./pages/rest.ts";
import { run } from "./pages/run.ts";
import { confirmJob, confirmVerb, confirmWide, summon } from "./pages/verb.ts";

/** Every page by its path; `:name` is one part of it. */
const PAGES: readonly (readonly [path: string, page: Page])[] = [
  ["/", now],
  ["/cells", cells],
  ["/cells/:id", cell],
  ["/cells/:id/runs", runs],
  ["/cells/:id/runs/:n", run],
  ["/cells/:id/history", history],
  ["/cells/:id/diff", diff],
  ["/cells/:id/brief", brief],
  ["/cells/:id/artifacts", artifacts],
  ["/cells/:id/:verb", confirmVerb],
  ["/summon", summon],
  ["/hold", confirmWide],
  ["/resume", confirmWide],
  ["/queue", queue],
  ["/queue/:job", job],
  ["/queue/:job/:action", confirmJob],
  ["/agents", agents],
  ["/agents/:name", agents],
  ["/audit", auditPage],
  ["/health", health],
  ["/me", me],
  ["/help", help],
];

/** The page of a path, and what stands in it for each `:name`; null: there is none. */
export function pageAt(
  path: string,
): { readonly page: Page; readonly params: Record<string, string> } | null {
  for (const [pattern, page] of PAGES) {
    const params = paramsOf(pattern, path);
    if (params !== null) return { page, params };
  }
  return null;
}

/**
 * What stands in a path where a pattern has `:name`, or after its end where it ends in `*`; null: no match.
 */
export function paramsOf(pattern: string, path: string): Record<string, string> | null {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  const isOpen = wanted.at(-1) === "*";
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = decode(part === "*" ? given.slice(index).join("/") : (given[index] ?? ""));
    if (text === null) return null;
    if (part === "*") params.rest = text;
    else if (part.startsWith(":") && text !== "") params[part.slice(1)] = text;
    else if (part !== text) return null;
  }
  return params;
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
