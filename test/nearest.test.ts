import { expect, test } from "vitest";
import { nearest } from "../src/nearest.ts";

test.each([
  ["sumon", "summon"],
  ["SUMMON", "summon"],
  ["smumon", "summon"],
  ["sumn", "summon"],
  ["sun", null],
  ["x", null],
  ["", null],
  ["s".repeat(100_000), null],
])("takes %j for %j", (typed, meant) => {
  expect(nearest(typed, ["status", "summon", "stop"])).toBe(meant);
});

test("prefers the nearer of two", () => {
  expect(nearest("stap", ["stops", "stop"])).toBe("stop");
});
