import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Where whole programs are started and waited for, the slowest first; a fresh checkout has no times of an
 * earlier run.
 */
const SLOW = [
  "test/scale/",
  "test/dashboard/browser",
  "test/chaos/archive",
  "test/hostile/tree",
  "test/backends/ordinary-user",
  "test/e2e/catchup",
  "test/e2e/retries",
  "test/chaos/",
  "test/hostile/",
  "test/e2e/",
  "test/backends/",
  "test/attack/",
  "test/runner/",
];

/** Begins with what takes longest, so that no worker is left alone with it at the end. */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = SLOW.findIndex((slow) => moduleId.includes(`/${slow}`));
      return at === -1 ? SLOW.length : at;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}
