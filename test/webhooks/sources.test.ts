import { expect, it } from "vitest";
import { sourcesOf } from "../../src/webhooks/sources.ts";

const keys = (...patterns: string[]) => sourcesOf(patterns).map((one) => one.key);

it.each([
  [["acme/*"], ["owner:acme"]],
  [["acme/app"], ["repository:acme/app"]],
  [
    ["Acme/App", "acme/app", "dev/x"],
    ["repository:acme/app", "repository:dev/x"],
  ],
  [
    ["acme/app", "acme/*-lib", "dev/x"],
    ["owner:acme", "repository:dev/x"],
  ],
  [["acme/a", "acme/b", "acme/c", "acme/d"], ["owner:acme"]],
  [["acme/app", "*/docs"], ["everything"]],
  [["*"], ["everything"]],
  [[], []],
])("asks for %j by %j", (patterns, expected) => {
  expect(keys(...patterns)).toEqual(expected);
});

it("tells only of its own", () => {
  const [owner, name] = sourcesOf(["acme/*", "dev/x"]);
  expect(["acme/app", "ACME/x", "dev/x", "acme2/x"].map((one) => owner?.holds(one))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(["dev/X", "dev/xy"].map((one) => name?.holds(one))).toEqual([true, false]);
});
