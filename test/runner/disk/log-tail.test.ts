import { expect, it } from "vitest";
import { createRedactor } from "../../../src/redact.ts";
import { plainRedacted } from "../../../src/runner/disk/log-tail.ts";

const SECRET = "sekrit-token-1234567890";
const { redact } = createRedactor([SECRET]);

it.each([
  ["plain", SECRET],
  ["after an escape sequence that swallows its first character", `\x1b${SECRET}`],
  ["with a colour within it", `${SECRET.slice(0, 9)}\x1b[0m${SECRET.slice(9)}`],
  ["with a terminal's title within it", `${SECRET.slice(0, 9)}\x1b]0;x\x07${SECRET.slice(9)}`],
])("hides a secret %s", (_, text) => {
  expect(plainRedacted(`it says ${text}!`, redact)).toMatch(/^it says (\[r)?edacted\]!$/);
});
