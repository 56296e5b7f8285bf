import { expect, it } from "vitest";
import { wordsOf } from "../../src/cli/words.ts";

const takes = { takesWords: true };

it.each([
  ["revive 4f1c -- yes, do", ["4f1c"], "yes, do"],
  ["revive 4f1c ezra -- yes, do", ["4f1c", "ezra"], "yes, do"],
  ["revive -- yes", [], "yes"],
  ["revive 4f1c --", ["4f1c"], null],
  ["summon allegro acme/app#1 -- keep -- it", ["allegro", "acme/app#1"], "keep -- it"],
  ["summon allegro acme/app#1 keep it", ["allegro", "acme/app#1"], "keep it"],
  ["summon allegro a b -- c", ["allegro", "a"], "b c"],
])("parts %s", (line, own, text) => {
  const [, ...typed] = line.split(" ");
  const dashes = typed.indexOf("--");
  const words = typed.filter((_, at) => at !== dashes);
  expect(wordsOf(takes, words, ["node", "lazarus", ...line.split(" ")])).toEqual([own, text]);
});

it("leaves all of them to a verb that takes none for an agent", () => {
  expect(wordsOf({}, ["4f1c", "a", "b"], ["node", "lazarus", "stop", "4f1c", "--", "a", "b"])).toEqual([
    ["4f1c", "a", "b"],
    null,
  ]);
});
