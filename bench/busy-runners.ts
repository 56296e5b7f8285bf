import { type Addition, pretendRunners } from "./pretended-runners.ts";

/*
 * Pretended runners in a process of their own, which begin each job and never end it: whoever measures how
 * soon control answers must not wait for them. Told once what `pretendRunners` takes, with keys in base64.
 */

export interface BusyRunners {
  readonly prefix: string;
  readonly added: readonly (Omit<Addition, "key"> & { readonly key: string })[];
  readonly port: number;
  readonly beatMs: number;
  readonly slots: number;
}

const TELL_MS = 500;

process.once("message", async ({ prefix, added, ...how }: BusyRunners) => {
  let begun = 0;
  const perform = () => {
    begun++;
    return new Promise<never>(() => {});
  };
  const keyed = added.map((one) => ({ ...one, key: Buffer.from(one.key, "base64") }));
  await pretendRunners({ prefix, added: keyed }, { ...how, perform });
  setInterval(() => process.send?.(begun), TELL_MS);
});
process.once("disconnect", () => process.exit(0));
