import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, it } from "vitest";
import { playTranscript } from "./play-transcript.ts";
import { withoutChance } from "./told.ts";

const README = readFileSync(resolve(import.meta.dirname, "../../README.md"), "utf8");

/** Without which server it was. */
const played = (text: string) => withoutChance(text.replace(/^A .*\n/, "")).split("\n");

it("the README shows what people see, but for ids and times (else: npm run transcript)", async () => {
  const shown = /<!-- transcript: npm run transcript -->\n```text\n([\s\S]*?)```/.exec(README)?.[1] ?? "";
  expect(played(await playTranscript())).toEqual(played(shown));
});
