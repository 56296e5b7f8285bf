import type { Reporter, TestModule } from "vitest/node";
import type {} from "./machine.ts";

/**
 * How many tests ended how; a file that could not be loaded and an error outside of any test count as failed.
 */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /**
   * What was missing, in words (empty: the test does not say) -> how many tests were skipped for want of it.
   */
  readonly lacks: ReadonlyMap<string, number>;
}

/** Counts what vitest saw. */
export function tally(modules: readonly TestModule[], strayErrors: number): Tally {
  const counts = { passed: 0, failed: strayErrors, skipped: 0 };
  const lacks = new Map<string, number>();
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state, ...ended } = test.result();
      // A test that never came to its end did not pass.
      counts[state === "pending" ? "failed" : state] += 1;
      if (state !== "skipped") continue;
      // What a test finds out while it runs it says as it skips itself.
      const what = test.meta().lacks ?? ("note" in ended ? ended.note : undefined) ?? "";
      lacks.set(what, (lacks.get(what) ?? 0) + 1);
    }
  }
  return { ...counts, lacks };
}

/**
 * What was skipped and for want of what, and the run in one line, for CI: `12 passed, 0 failed, 0 skipped`.
 */
export function closingLines({ passed, failed, skipped, lacks }: Tally): string[] {
  const most = [...lacks].sort(([, one], [, other]) => other - one);
  return [
    ...most.map(
      ([what, count]) => `skipped: ${count} ${what === "" ? "that do not say why" : `for want of ${what}`}`,
    ),
    `${passed} passed, ${failed} failed, ${skipped} skipped`,
  ];
}

/** Prints {@link closingLines} when the process ends: after every other reporter's words. */
export class ClosingLine implements Reporter {
  #lines: readonly string[] = [];

  onInit(): void {
    process.once("exit", () => {
      for (const line of this.#lines) process.stdout.write(`${line}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    this.#lines = closingLines(tally(modules, errors.length));
  }
}
