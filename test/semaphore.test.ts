import { expect, it } from "vitest";
import { createSemaphore } from "../src/semaphore.ts";
import { settle } from "./fakes/clock.ts";

const NEVER = new AbortController().signal;

it("lets no more than so many go on, and the others in their order", async () => {
  const slots = createSemaphore(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const all = [0, 1, 2, 3, 4].map((n) =>
    slots(() => {
      begun.push(n);
      return new Promise<number>((resolve) => ends.push(() => resolve(n)));
    }, NEVER),
  );
  await settle();
  expect(begun).toEqual([0, 1]);
  ends[1]?.();
  await settle();
  expect(begun).toEqual([0, 1, 2]);
  for (let n = 0; n < 5; n++) {
    for (const end of ends) end();
    await settle();
  }
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4]);
});

it("lets nobody wait who was called off, and gives the place of one that failed to the next", async () => {
  const slots = createSemaphore(1);
  const stop = new AbortController();
  let fail = () => {};
  const first = slots(() => new Promise((_, reject) => (fail = () => reject(new Error("no")))), NEVER);
  const second = slots(async () => 2, stop.signal);
  const third = slots(async () => 3, NEVER);
  stop.abort();
  expect(await second).toBeNull();
  fail();
  await expect(first).rejects.toThrow("no");
  expect(await third).toBe(3);
  expect(await slots(async () => 4, stop.signal)).toBeNull();
  expect(await slots(async () => 5, NEVER)).toBe(5);
});

it("runs nothing that is called off in the moment in which its turn comes", async () => {
  const slots = createSemaphore(1);
  const stop = new AbortController();
  let isBegun = false;
  const called = slots(async () => (isBegun = true), stop.signal);
  stop.abort();
  expect([await called, isBegun]).toEqual([null, false]);
  expect(await slots(async () => 2, NEVER)).toBe(2);
});
