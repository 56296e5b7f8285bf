import { expect, it } from "vitest";
import { resetTime } from "../../../src/runner/collect/reset-time.ts";
import { growth } from "../../fakes/growth.ts";

const NOW = Date.UTC(2026, 10, 21, 14, 2, 11);
const S = 1_000;
const M = 60 * S;
const H = 60 * M;
const at = (hour: number, minute = 0, day = 21, month = 10) => Date.UTC(2026, month, day, hour, minute);

const TOLD: [string, number][] = [
  ["Claude AI usage limit reached|1795275000", 1_795_275_000 * S],
  ["Claude AI usage limit reached|1795275000123", 1_795_275_000_123],
  ["You've hit your limit · resets 3pm (UTC)", at(15)],
  ["5-hour limit reached ∙ resets 3:30pm (America/New_York)", at(20, 30)],
  ["session limit reached, resets at 1pm (UTC)", at(13, 0, 22)],
  ["usage limit reached, resets at 15:00", at(15)],
  ["limit resets 12am (Asia/Tokyo)", at(15)],
  ["Your limit resets Nov 24, 9am (UTC)", at(9, 0, 24)],
  ["You've hit your usage limit. Try again at Nov 22nd, 2026 3:15 PM.", at(15, 15, 22)],
  ["You've hit your usage limit. try again at 3:05 PM.", at(15, 5)],
  ["Rate limit reached for gpt-5 on tokens per min. Please try again in 20s.", NOW + 20 * S],
  ["Please try again in 6m0s", NOW + 6 * M],
  ["Please try again in 1.898s. Visit https://x.example", NOW + 1_898],
  ["Please try again in 86ms.", NOW + 86],
  ["try again in 5 minutes", NOW + 5 * M],
  ["Try again in 3 days 3 hours 12 minutes.", NOW + 75 * H + 12 * M],
  ["You exceeded your current quota. Please retry in 34.074824224s.", NOW + 34_075],
  ['"retryDelay": "34s"', NOW + 34 * S],
  ["Your quota will reset after 18h22m7s.", NOW + 18 * H + 22 * M + 7 * S],
  ["resets in 2 hours", NOW + 2 * H],
  ["Retry-After: 120", NOW + 120 * S],
  ["retry-after: Sat, 21 Nov 2026 15:28:00 GMT", at(15, 28)],
  ['{"resets_at":1795275000,"plan_type":"plus"}', 1_795_275_000 * S],
  ['{"resets_in_seconds": 600}', NOW + 600 * S],
  ["x-ratelimit-reset: 1795275000", 1_795_275_000 * S],
  ["limit resets at 2026-11-21T16:00:00Z", at(16)],
  ["retry after 2026-11-21 16:00:00+02:00", at(14)],
  ["available again until 2026-11-21T16:00:00.250 UTC", at(16) + 250],
  [
    "You have reached your specified API usage limits. You will regain access on 2026-11-28 at 04:00 UTC.",
    at(4, 0, 28),
  ],
  ["You've hit your limit · resets 3am (Europe/Berlin)", at(2, 0, 22)],
  ["You've hit your session limit · resets 3:45pm (America/New_York)", at(20, 45)],
  ["Your limit resets Nov 24 at 9am (Europe/Berlin)", at(8, 0, 24)],
  ["your usage limit resets on Nov 24, 9:30am (America/Argentina/Buenos_Aires)", at(12, 30, 24)],
  ["You've hit your usage limit. Upgrade to Pro or try again at Nov 28th, 2026 4:00 AM.", at(4, 0, 28)],
  [
    "You've hit your usage limit. Visit https://x.example, or try again in 3 days 4 minutes.",
    NOW + 72 * H + 4 * M,
  ],
  ["Usage limit reached for gemini-2.5-pro. Access resets at 3:00 PM GMT+2.", at(13, 0, 22)],
  ["Usage limit reached for gemini-2.5-pro. Access resets at 3:00 PM PST.", at(23)],
  ["Access resets at 11:00 PM GMT-5.", at(4, 0, 22)],
  ["limit resets 2026-11-28 9:05 PM UTC", at(21, 5, 28)],
  ["access resets at 2026-11-28, 04:00 (Europe/Berlin)", at(3, 0, 28)],
];
it.each(TOLD)("reads when it resets: %s", (text, expected) => {
  expect(resetTime(text, NOW)).toBe(expected);
});

it.each([
  "You have reached your usage limit.",
  "429 Too Many Requests",
  "retrying 3 times",
  "try again 3 times",
  "resets at 25:00",
  "resets at 13pm",
  "resets when it likes, 2026",
  "limit resets at 99999-99-99T99:99:99Z",
  "resets at 2026-13-45T10:00:00Z",
  "wait, 2 files were reset",
  "You will regain access on 2026-11-28 at 04:99 UTC",
  "retry in 99999999999999999 days",
  "Retry-After: 99999999999",
  "",
])("reads no time where none is told: %s", (text) => {
  expect(resetTime(text, NOW)).toBeNull();
});

it("takes the next such day in the year", () => {
  expect(resetTime("resets Jan 2, 9am", NOW)).toBe(Date.UTC(2027, 0, 2, 9));
});

it.each<[string, (n: number) => string]>([
  ["digits", (n) => `resets ${"1".repeat(n)}`],
  ["durations", (n) => `try again in ${"1h".repeat(n / 2)}`],
  ["words between", (n) => `reset ${"at ".repeat(n / 3)}3pm`],
])("takes twice as long for twice as many %s, and never throws", (_, text) => {
  // No line of a log that is longer comes here.
  expect(growth((n) => resetTime(text(n), NOW), { from: 250, most: 4_000 })).toBeLessThan(3);
});
