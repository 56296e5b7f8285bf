import { expect, it } from "vitest";
import { createBodyBudget } from "../../src/webhooks/body-budget.ts";

it("gives every body its own room, and what is beyond that to the first who ask", () => {
  const budget = createBodyBudget({ each: 10, shared: 100 });
  const [large, small, other] = [budget.open(), budget.open(), budget.open()];
  expect([large.take(5), large.take(105), large.take(1)]).toEqual([true, true, false]);
  expect([small.take(10), small.take(1)]).toEqual([true, false]);
  expect(other.take(11)).toBe(false);
  large.close();
  large.close();
  expect([other.take(110), other.take(1)]).toEqual([true, false]);
  expect(large.take(1)).toBe(false);
});
