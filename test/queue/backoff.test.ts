import { describe, expect, it } from "vitest";
import { backoffMs } from "../../src/queue/backoff.ts";

describe("backoffMs", () => {
  it.each([
    [1, 1_000],
    [2, 2_000],
    [3, 4_000],
    [9, 256_000],
    [10, 300_000],
    [12, 300_000],
    [5_000, 300_000],
    [0, 1_000],
  ])("waits, after attempt %i, %i ms without jitter", (attempt, ms) => {
    expect(backoffMs(attempt, () => 0.5)).toBe(ms);
  });

  it("moves each wait by up to a fifth either way", () => {
    expect(backoffMs(1, () => 0)).toBe(800);
    expect(backoffMs(1, () => 1)).toBe(1_200);
    expect(backoffMs(50, () => 1)).toBe(360_000);
  });

  it("differs from call to call, so that what failed together does not return together", () => {
    const waits = new Set(Array.from({ length: 50 }, () => backoffMs(8)));
    expect(waits.size).toBeGreaterThan(10);
  });
});
