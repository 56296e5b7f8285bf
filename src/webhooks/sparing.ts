/** Says something at most once a minute; `others`: how often it would have been said in between. */
export function sparing<T>(say: (what: T, others: number) => void): (what: T) => void {
  let saidAt = Number.NEGATIVE_INFINITY;
  let others = 0;
  return (what) => {
    if (performance.now() - saidAt < 60_000) return void others++;
    say(what, others);
    saidAt = performance.now();
    others = 0;
  };
}
