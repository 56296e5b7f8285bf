/** CPU time of less is noise: work that is done sooner is done several times. */
const MEASURABLE_MS = 25;
/** From here on it is the text that takes the time, not what surrounds it. */
const LEAST_MS = 2;
const ROUNDS = 5;
const DOUBTFUL = 2.6;

/**
 * By how much the CPU time of `work(n)` grows when n doubles: about 2 where it is linear, 4 where it is
 * quadratic, whatever the machine and whatever else runs on it. It begins at `from` and doubles until there
 * is something to measure; 1 where there is nothing at `most` either. It stays as small as it can: collecting
 * huge texts is not linear.
 */
export function growth(work: (n: number) => unknown, { from, most }: { from: number; most: number }): number {
  for (let n = from; 2 * n <= most; n *= 2) {
    const once = warm(() => cpuMs(() => work(n)));
    if (once < LEAST_MS) continue;
    const times = Math.ceil(MEASURABLE_MS / once);
    const first = ratio(work, { n, times });
    // What is quadratic is so at every size; a collection of memory falls into one of them.
    return first < DOUBTFUL
      ? first
      : Math.min(first, ratio(work, { n: 2 * n, times }), ratio(work, { n, times }));
  }
  return 1;
}

function ratio(
  work: (n: number) => unknown,
  { n, times }: { readonly n: number; readonly times: number },
): number {
  const [single, double]: [number[], number[]] = [[], []];
  // In turn, so that a slow moment of the machine meets both.
  for (let round = 0; round < ROUNDS; round++) {
    single.push(cpuMs(() => repeat(times, () => work(n))));
    double.push(cpuMs(() => repeat(times, () => work(2 * n))));
  }
  return Math.min(...double) / Math.min(...single);
}

function warm(measure: () => number): number {
  // The first is not counted: it is compiled then.
  measure();
  return measure();
}

function repeat(times: number, work: () => unknown): void {
  for (let i = 0; i < times; i++) work();
}

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
