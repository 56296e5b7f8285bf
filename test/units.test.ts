import { expect, test } from "vitest";
import { formatDuration, parseDuration, parseSize } from "../src/units.ts";

test.each([
  ["0", 0],
  ["0s", 0],
  ["90s", 90_000],
  ["15m", 900_000],
  ["4h", 14_400_000],
  ["2d", 172_800_000],
  ["1h30m", null],
  ["-5m", null],
  ["90", null],
  ["1.5h", null],
  ["4 h", null],
  ["", null],
  ["999999999d", null],
])("reads the duration %j as %j", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  ["512KB", 524_288],
  ["100MB", 104_857_600],
  ["2GB", 2_147_483_648],
  ["2G", null],
  ["2gb", null],
  ["1024", null],
])("reads the size %j as %j", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  [0, "0"],
  [90_000, "90s"],
  [5_400_000, "90m"],
  [86_400_000, "1d"],
  [1, "1s"],
])("writes %j ms as %s", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
