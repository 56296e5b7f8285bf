import type { Reporter, TestModule } from "vitest/node";

/** How many tests ended how; a file that could not be loaded and an error outside of any test count as failed. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Counts what vitest saw. */
export function tally(modules: readonly TestModule[], strayErrors: number): Tally {
  const counts = { passed: 0, failed: strayErrors, skipped: 0 };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      // A test that never came to its end did not pass.
      counts[state === "pending" ? "failed" : state] += 1;
    }
  }
  return counts;
}

/** The run in one line, for CI: `12 passed, 0 failed, 0 skipped`. */
export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Prints {@link closingLine} when the process ends: after every other reporter's words. */
export class ClosingLine implements Reporter {
  #line = "";

  onInit(): void {
    process.once("exit", () => {
      if (this.#line !== "") process.stdout.write(`${this.#line}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    this.#line = closingLine(tally(modules, errors.length));
  }
}
