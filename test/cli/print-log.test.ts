import { expect, it } from "vitest";
import { added, lastLines } from "../../src/cli/print-log.ts";

it.each([
  ["a\nb\nc\n", 2, "b\nc\n"],
  ["a\nb\nc", 2, "b\nc"],
  ["a\n", 5, "a\n"],
  ["", 5, ""],
])("shows of %j the last %i lines", (text, count, shown) => {
  expect(lastLines(text, count)).toBe(shown);
});

it.each([
  ["", "first", "first"],
  ["first", "first\nsecond", "\nsecond"],
  ["same", "same", ""],
  [`${"x".repeat(600)}end`, `${"x".repeat(520)}end, more`, ", more"],
  ["again\n".repeat(200), "again\n".repeat(300), "again\n".repeat(100)],
  ["moved away", "something else", "something else"],
])("follows a log from %j", (before, now, fresh) => {
  expect(added(before, now)).toBe(fresh);
});
