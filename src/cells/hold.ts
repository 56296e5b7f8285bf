import * as z from "zod";
import type { Registry } from "./registry/registry.ts";

/** No new run starts, for an upgrade or while something is looked into. */
export interface Hold {
  readonly who: string;
  readonly why: string;
  /** Epoch ms. */
  readonly at: number;
}

const shape = z.object({ who: z.string(), why: z.string(), at: z.number() });
const FACT = "hold";

/** What keeps every new run from starting; null: nothing does. */
export function holdOf(registry: Pick<Registry, "rememberedText">): Hold | null {
  const text = registry.rememberedText(FACT);
  return text === null || text === "" ? null : shape.parse(JSON.parse(text));
}

/** Holds new runs, or with null lets them start again; joins the caller's transaction. */
export function setHold(registry: Pick<Registry, "rememberText">, hold: Hold | null): void {
  registry.rememberText(FACT, hold === null ? "" : JSON.stringify(hold));
}

/** `no run starts: held by owner (upgrade)`. */
export function holdWords({ who, why }: Hold): string {
  return `no run starts: held by ${who}${why === "" ? "" : ` (${why})`}`;
}
