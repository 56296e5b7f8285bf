import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { lacking, needs } from "./machine.ts";

it("skips what wants something that is missing, and says what", () => {
  const lacks = inject("lacks");
  for (const want of Object.keys(lacks) as (keyof typeof lacks)[]) {
    const missing = lacks[want];
    expect(needs(want)).toEqual(missing === null ? { skip: false, meta: {} } : lacking(missing));
  }
  expect(needs()).toEqual({ skip: false, meta: {} });
  // One of the two is always missing.
  expect(needs("root", "ordinary user")).toMatchObject({
    skip: true,
    meta: { lacks: expect.stringMatching(/^(root|an ordinary user): /) },
  });
});

it("is where all tests ask: none is skipped in another way, which the closing lines could not explain", () => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" });
  const others = files.filter((file) => file.endsWith(".test.ts") && !file.startsWith("closing-line."));
  const ways = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|skipIf|runIf|todo)\b|\? (?:it|describe)\b/;
  expect(others.length).toBeGreaterThan(50);
  expect(others.filter((file) => ways.test(readFileSync(join(import.meta.dirname, file), "utf8")))).toEqual(
    [],
  );
});
