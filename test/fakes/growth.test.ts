import { expect, it } from "vitest";
import { growth } from "./growth.ts";

/** Work that no optimizer leaves out. */
function spin(steps: number): number {
  let sum = 0;
  for (let at = 0; at < steps; at++) sum = (sum * 31 + at) % 1_000_003;
  return sum;
}

it("tells what is linear from what is quadratic", () => {
  const range = { from: 1_000, most: 100_000_000 };
  expect(growth((n) => spin(n), range)).toBeLessThan(3);
  expect(growth((n) => spin(n * n), range)).toBeGreaterThan(3);
});

it("has nothing to say of what takes no time", () => {
  expect(growth(() => {}, { from: 1, most: 1_000_000 })).toBe(1);
});
