/**
 * When a quota resets, as an agent said it in words, a header or a number; epoch milliseconds, null where it
 * does not say. `now` is when it was said (epoch ms): a time of day is the next one after it. Hours without a
 * zone are taken as UTC. Pure; any text may come.
 */
export function resetTime(text: string, now: number): number | null {
  const found = READERS.map((read) => read(text, now)).find((at) => at !== null) ?? null;
  return found !== null && Number.isFinite(found) && found < now + FARTHEST_MS ? Math.round(found) : null;
}

const FARTHEST_MS = 400 * 24 * 60 * 60_000;
const DAY_MS = 24 * 60 * 60_000;

/** Words that may stand between "it resets" and the time. */
const WHEN = `(?:resets?|reset(?:ting)?|retry|try again|regain access|available|wait|until|renews?)`;
const GAP = String.raw`[^\d\n]{0,40}?`;

const READERS: readonly ((text: string, now: number) => number | null)[] = [
  epoch,
  timestamp,
  httpDate,
  span,
  header,
  dateInWords,
  timeOfDay,
];

/**
 * `limit reached|1700000000`, `"resets_at":1700000000`, `X-RateLimit-Reset: 1700000000`; ten digits are
 * seconds.
 */
function epoch(text: string): number | null {
  const match = /(?:limit reached\||resets?_?-?(?:at)?"?\s*[:=|]\s*"?)(\d{10})(\d{3})?\b/i.exec(text);
  if (match === null) return null;
  return Number(match[1]) * 1_000 + Number(match[2] ?? 0);
}

/** `resets at 2026-11-28T04:00:00Z`, `You will regain access on 2026-11-28 at 04:00 UTC`. */
function timestamp(text: string): number | null {
  const day = String.raw`(\d{4})-(\d\d)-(\d\d)(?:T|,? at |,? )(?=\d{1,2}:\d\d)${CLOCK}`;
  const match = new RegExp(`${WHEN}${GAP}${day}`, "i").exec(text);
  if (match === null) return null;
  const time = clockOf(match.slice(4));
  const [year, month, date] = match.slice(1, 4).map(Number) as [number, number, number];
  const isDay = valid(Date.parse(`${match[1]}-${match[2]}-${match[3]}T00:00Z`)) !== null;
  return time === null || !isDay ? null : inZone({ year, month: month - 1, day: date }, time);
}

/** `Retry-After: Wed, 21 Oct 2026 07:28:00 GMT` */
function httpDate(text: string): number | null {
  const match =
    /(?:retry-after|reset)\W{1,6}((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT)/i.exec(
      text,
    );
  return match === null ? null : valid(Date.parse(match[1] ?? ""));
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS };
const PART = String.raw`(\d{1,7}(?:\.\d{1,9})?)\s?(ms|milliseconds?|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b`;

/** `try again in 20s`, `retry after 5 minutes`, `Please retry in 34.07s`, `in 1 hour 20 minutes`, `6m0s`. */
function span(text: string, now: number): number | null {
  const start = new RegExp(
    String.raw`${WHEN}[^\d\n]{0,25}?\b(?:in|after|for|delay)["':]{0,3}\s{0,3}["']?(?=\d)|retryDelay\W{1,5}(?=\d)|\bwait (?=\d)`,
    "i",
  ).exec(text);
  if (start === null) return null;
  let rest = text.slice(start.index + start[0].length, start.index + start[0].length + 80);
  let total: number | null = null;
  const part = new RegExp(String.raw`^\s?(?:,|and)?\s?${PART.replace(String.raw`\b`, "")}`, "i");
  for (let match = part.exec(rest); match !== null; match = part.exec(rest)) {
    total = (total ?? 0) + Number(match[1]) * unitMs(match[2] ?? "");
    rest = rest.slice(match[0].length);
  }
  return total === null ? null : now + total;
}

function unitMs(word: string): number {
  const lower = word.toLowerCase();
  return UNIT_MS[lower === "ms" || lower.startsWith("milli") ? "ms" : lower.charAt(0)] ?? 0;
}

/** `Retry-After: 120`, `"resets_in_seconds": 120`, `try again in 120` */
function header(text: string, now: number): number | null {
  const match =
    /(?:retry[-_ ]after|resets?_in(?:_seconds)?|retry_after_seconds)\W{1,6}(\d{1,8})(?!\d|:)/i.exec(text);
  return match === null ? null : now + Number(match[1]) * 1_000;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/** Hour, minute, second, half of the day, and a zone by its place, its letters or its distance from UTC. */
const ZONE = String.raw`[A-Za-z_]{2,30}(?:\/[A-Za-z_+-]{1,30}\d{0,2}){1,2}|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d\d)?|[A-Z]{1,5}\b`;
const CLOCK = String.raw`(\d{1,2})(?::(\d\d))?(?::(\d\d(?:\.\d{1,9})?))?\s?([ap]\.?m\b\.?)?\s?(?:\(?(${ZONE})\)?)?`;

/** `resets Oct 21, 3pm (UTC)`, `try again at Nov 22nd, 2026 3:15 PM`. */
function dateInWords(text: string, now: number): number | null {
  const day = String.raw`(${MONTHS.join("|")})[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?,?(?: (\d{4}),?)?(?: at)? `;
  const match = new RegExp(`${WHEN}${GAP}\\b${day}${CLOCK}`, "i").exec(text);
  if (match === null) return null;
  const month = MONTHS.indexOf((match[1] ?? "").toLowerCase());
  const time = clockOf(match.slice(4));
  if (time === null) return null;
  const year = match[3] === undefined ? new Date(now).getUTCFullYear() : Number(match[3]);
  const inYear = (one: number) => inZone({ year: one, month, day: Number(match[2]) }, time);
  const at = inYear(year);
  return at < now - DAY_MS && match[3] === undefined ? inYear(year + 1) : at;
}

/** `resets at 3pm (UTC)`, `resets 15:00`, `try again at 3:05 PM`: the next one. */
function timeOfDay(text: string, now: number): number | null {
  const match = new RegExp(`${WHEN}(?: again)?(?: at| is)? ${CLOCK}`, "i").exec(text);
  // `try again 3 times` is no time of day.
  if (match === null || (match[2] === undefined && match[4] === undefined)) return null;
  const time = clockOf(match.slice(1));
  if (time === null) return null;
  for (const ahead of [-1, 0, 1, 2]) {
    const day = new Date(now + ahead * DAY_MS);
    const date = { year: day.getUTCFullYear(), month: day.getUTCMonth(), day: day.getUTCDate() };
    const at = inZone(date, time);
    if (at > now) return at;
  }
  return null;
}

interface TimeOfDay {
  readonly hour: number;
  readonly minute: number;
  readonly seconds: number;
  readonly zone: string | null;
}

function clockOf(words: readonly (string | undefined)[]): TimeOfDay | null {
  const [hours, minutes, seconds, half, zone] = words;
  const minute = Number(minutes ?? 0);
  let hour = Number(hours);
  if (half !== undefined) {
    if (hour < 1 || hour > 12) return null;
    hour = (hour % 12) + (/^p/i.test(half) ? 12 : 0);
  }
  return hour > 23 || minute > 59
    ? null
    : { hour, minute, seconds: Number(seconds ?? 0), zone: zone ?? null };
}

function inZone(date: { year: number; month: number; day: number }, time: TimeOfDay): number {
  const { hour, minute, seconds } = time;
  const asUtc = Date.UTC(date.year, date.month, date.day, hour, minute) + seconds * 1_000;
  // Twice: the first guess may lie on the other side of a change of summer time.
  const first = asUtc - offsetMs(time.zone, asUtc);
  return asUtc - offsetMs(time.zone, first);
}

/**
 * Hours ahead of UTC of the letters that agents' vendors write; letters with two meanings are not among them.
 */
const LETTERS: Readonly<Record<string, number>> = {
  ...{ EST: -5, EDT: -4, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7 },
  ...{ WEST: 1, CET: 1, CEST: 2, EET: 2, EEST: 3, JST: 9, KST: 9, AEST: 10, AEDT: 11 },
};

/** How far a zone is ahead of UTC at that moment; 0 for one that nobody knows. */
function offsetMs(zone: string | null, at: number): number {
  if (zone === null) return 0;
  const fixed = /^(?:UTC|GMT)?([+-])(\d{1,2}):?(\d\d)?$/i.exec(zone);
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3] ?? 0);
    return (fixed[1] === "-" ? -minutes : minutes) * 60_000;
  }
  return zone.includes("/") ? offsetOfPlace(zone, at) : (LETTERS[zone.toUpperCase()] ?? 0) * 3_600_000;
}

function offsetOfPlace(place: string, at: number): number {
  try {
    const parts = new Intl.DateTimeFormat("en-US", {
      timeZone: place,
      hourCycle: "h23",
      ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" },
    }).formatToParts(at);
    const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
    const there = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"));
    return there - Math.floor(at / 60_000) * 60_000;
  } catch {
    // Not a zone.
    return 0;
  }
}

function valid(at: number): number | null {
  return Number.isNaN(at) ? null : at;
}
