/** Labels of one measurement: few values each, never a cell, a thread or a person. */
export type Labels = Readonly<Record<string, string>>;

/**
 * Told of each thing that happened: how often (counters), how long it took in seconds (histograms), or how
 * much there is now (gauges).
 */
export type Sink = (family: string, labels: Labels, value: number) => void;

let sink: Sink | null = null;

/**
 * One more of what a counter counts. Without a sink, which is so where nobody scrapes, nothing happens and
 * nothing is kept.
 */
export function count(family: string, labels: Labels = {}, by = 1): void {
  sink?.(family, labels, by);
}

/** How long something took, in seconds. */
export function took(family: string, seconds: number, labels: Labels = {}): void {
  sink?.(family, labels, Math.max(0, seconds));
}

/** How much there is of something now. */
export function level(family: string, value: number, labels: Labels = {}): void {
  sink?.(family, labels, value);
}

/** From now on `to` is told; null: nobody. */
export function measureInto(to: Sink | null): void {
  sink = to;
}
