import { inject, type TaskMeta } from "vitest";
import type { Lacks, Want } from "./machine-probe.ts";

declare module "vitest" {
  interface TaskMeta {
    /** What this machine lacks for the test, in words; the closing lines count by them. */
    lacks?: string;
  }
  interface ProvidedContext {
    readonly lacks: Lacks;
  }
}

/** Options of a test or a suite: whether it is skipped here, and for want of what. */
export interface Needs {
  readonly skip: boolean;
  readonly meta: Partial<TaskMeta>;
}

/**
 * What a test wants of the machine, as its options: `it("…", needs("sandbox"), () => …)`, `describe("…",
 * needs("root"), () => …)`. Where one is missing the test is skipped, and the run's last lines say so.
 */
export function needs(...wants: readonly Want[]): Needs {
  const lacks = inject("lacks");
  const missing = wants.map((want) => lacks[want]).find((why) => why !== null);
  return missing === undefined ? { skip: false, meta: {} } : lacking(missing);
}

/** The same for what a test finds out by itself: `lacking("a container engine: no podman answers")`. */
export function lacking(what: string): Needs {
  return { skip: true, meta: { lacks: what } };
}
