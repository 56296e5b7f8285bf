import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { measureInto } from "../meter.ts";
import type { Gauges } from "./collect.ts";
import { FAMILIES, type Family } from "./families.ts";

const PREFIX = "lazarus_";

/** What a scrape is answered from. */
export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  stop(): void;
}

/** Begins to count what happens; gauges are asked for at each scrape. */
export function openMetrics(gauges: () => Gauges): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const made = new Map(FAMILIES.map((family) => [family.name, create(family, register)]));
  measureInto((name, labels, value) => {
    const metric = made.get(name);
    if (metric instanceof Counter) metric.inc({ ...labels }, value);
    else if (metric instanceof Histogram) metric.observe({ ...labels }, value);
    else if (metric instanceof Gauge) metric.set({ ...labels }, value);
  });
  return {
    contentType: register.contentType,
    async text() {
      for (const [name, values] of Object.entries(gauges())) {
        const metric = made.get(name);
        if (!(metric instanceof Gauge)) continue;
        // What is no more must not stay as it was.
        metric.reset();
        for (const { labels, value } of values) metric.set({ ...labels }, value);
      }
      return register.metrics();
    },
    stop: () => measureInto(null),
  };
}

function create(family: Family, register: Registry): Counter | Gauge | Histogram {
  const { help, labels, type, buckets } = family;
  const common = { name: `${PREFIX}${family.name}`, help, labelNames: [...labels], registers: [register] };
  if (type === "counter") return new Counter(common);
  if (type === "gauge") return new Gauge(common);
  return new Histogram({ ...common, buckets: [...(buckets ?? [])] });
}
