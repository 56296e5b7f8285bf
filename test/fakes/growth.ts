/** CPU time of less is noise. */
const MEASURABLE_MS = 25;
const ROUNDS = 3;

/**
 * By how much the CPU time of `work(n)` grows when n doubles: about 2 where it is linear, 4 where it is quadratic, whatever the machine and whatever else runs on it. It begins
 * at `from` and doubles until there is something to measure; 1 where there is nothing at `most` either.
 */
export function growth(work: (n: number) => unknown, { from, most }: { from: number; most: number }): number {
  for (let n = from; 2 * n <= most; n *= 2) {
    if (cpuMs(() => work(n)) < MEASURABLE_MS) continue;
    return least(() => work(2 * n)) / least(() => work(n));
  }
  return 1;
}

/** What a garbage collection adds is not counted: the quickest round has none. */
function least(work: () => unknown): number {
  return Math.min(...Array.from({ length: ROUNDS }, () => cpuMs(work)));
}

function cpuMs(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
