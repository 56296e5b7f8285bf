import { LazarusError } from "../errors.ts";

/** Lazarus is younger than that, and so is every forge it knows. */
const EARLIEST = Date.UTC(2024, 0);
/** The last that is written with four digits. */
const LATEST = Date.UTC(9999, 11, 31);

/**
 * The forge's clock as its answer shows it; epoch ms. Who believed a machine that has not been told the time
 * yet would take everything that was ever typed for new.
 * @throws LazarusError `forge-answer` where there is no Date; `forge-unreachable`, retryable, where it cannot
 * be true.
 */
export function dateIn(headers: Headers, doing: string): number {
  const at = Date.parse(headers.get("date") ?? "");
  if (Number.isNaN(at)) throw new LazarusError("forge-answer", `${doing}: its answer has no Date`);
  if (at >= EARLIEST && at <= LATEST) return at;
  const year = new Date(at).getUTCFullYear();
  throw new LazarusError("forge-unreachable", `${doing}: its clock is wrong, it shows the year ${year}`, {
    retryable: true,
  });
}
