const DURATION_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_BYTES = { KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 } as const;

/** A size for people: `1.5 GB`. */
export function formatSize(bytes: number): string {
  const [unit, of] =
    bytes >= 1024 ** 3 ? ["GB", 1024 ** 3] : bytes >= 1024 ** 2 ? ["MB", 1024 ** 2] : ["KB", 1024];
  return `${Number((bytes / Number(of)).toFixed(1))} ${unit}`;
}

/**
 * Money for people: `0.006 USD`, `0.42 USD`, `12.30 USD`; in Markdown a dollar's sign would begin a formula.
 */
export function formatCost(usd: number): string {
  if (usd >= 0.1) return `${usd.toFixed(2)} USD`;
  return usd < 0.0001 ? "less than 0.0001 USD" : `${Number(usd.toPrecision(2))} USD`;
}

/** A budget for people: `5 USD`, `0.50 USD`, `12.50 USD`. */
export function formatBudget(usd: number): string {
  return Number.isInteger(usd) ? `${usd} USD` : formatCost(usd);
}

/** `1,200,000`: whole numbers for people. */
export function formatNumber(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** `1 turn`, `2 turns`. */
export function formatCount(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** What a duration looks like, for sentences about one that is none. */
export const DURATION_FORM = "a duration such as 90s, 15m, 4h or 2d";
/** What a size looks like, for sentences about one that is none. */
export const SIZE_FORM = "a size such as 512KB, 100MB or 2GB";

/**
 * Milliseconds of `90s 15m 4h 2d`, `0` or `0s`; null for everything else (fractions, signs, several units,
 * bare numbers).
 */
export function parseDuration(text: string): number | null {
  if (text === "0") return 0;
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  if (!match) return null;
  return safe(Number(match[1]) * DURATION_MS[match[2] as keyof typeof DURATION_MS]);
}

/** Bytes of `512KB 100MB 2GB` (1 KB is 1024 bytes) or `0`; null for everything else. */
export function parseSize(text: string): number | null {
  if (text === "0") return 0;
  const match = /^(\d{1,9})([KMG]B)$/.exec(text);
  if (!match) return null;
  return safe(Number(match[1]) * SIZE_BYTES[match[2] as keyof typeof SIZE_BYTES]);
}

/**
 * A duration as the configuration writes it, in the largest unit that is exact: `5400000` is `90m`. Below a
 * second: `1s` per started second.
 */
export function formatDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds === 0) return "0";
  for (const unit of ["d", "h", "m"] as const) {
    const size = DURATION_MS[unit] / 1000;
    if (seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/** How long something took or is old, rounded down to what people would say: 185 s are `3m`. */
export function formatAge(ms: number): string {
  if (ms < DURATION_MS.s) return "0s";
  const { d, h, m, s } = DURATION_MS;
  const unit = [d, h, m].find((each) => ms >= 2 * each) ?? s;
  return formatDuration(Math.floor(ms / unit) * unit);
}

function safe(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null;
}
