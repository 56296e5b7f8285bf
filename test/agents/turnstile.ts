/** Lets at most `atOnce` pieces of work go on at one time; the others wait in line. */
export function turnstile(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  let inside = 0;
  const line: (() => void)[] = [];
  return async (work) => {
    while (inside >= Math.max(1, atOnce)) await new Promise<void>((next) => line.push(next));
    inside += 1;
    try {
      return await work();
    } finally {
      inside -= 1;
      line.shift()?.();
    }
  };
}
