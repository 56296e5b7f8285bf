import { expect, it } from "vitest";
import * as z from "zod";
import { json, remembered } from "../../../src/cells/registry/columns.ts";

it("understands a text that comes again only once, and each other text anew", () => {
  let understood = 0;
  const counted = z.object({ n: z.number() }).transform((value) => {
    understood++;
    return value.n;
  });
  const { shape } = remembered(json(counted));
  const read = (n: number) => shape.parse(`{"n": ${n}}`);
  expect([read(1), read(1), read(2), read(1)]).toEqual([1, 1, 2, 1]);
  expect(understood).toBe(2);
  for (let n = 3; n < 5_000; n++) read(n);
  expect([read(1), read(4_999)]).toEqual([1, 4_999]);
});

it("refuses what it cannot understand each time that it comes", () => {
  const { shape } = remembered(json(z.object({ n: z.number() })));
  for (let time = 0; time < 2; time++) expect(shape.safeParse('{"n": "1"}').success).toBe(false);
});
