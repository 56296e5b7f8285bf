/**
 * The repository that the demo's people work on: a parser that throws on empty input, and the test it has.
 */
export const FILES: Readonly<Record<string, string>> = {
  "README.md": "# app\n\nReads `key=value` lines.\n",
  "package.json": '{\n  "name": "app",\n  "type": "module",\n  "scripts": { "test": "node --test" }\n}\n',
  "parse.js": `/** "a=1\\nb=2" -> { a: "1", b: "2" } */
export function parse(text) {
  const pairs = text.trim().split("\\n").map((line) => /^(\\w+)=(.*)$/.exec(line).slice(1));
  return Object.fromEntries(pairs);
}
`,
  "parse.test.js": `import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "./parse.js";

test("reads one pair a line", () => assert.deepEqual(parse("a=1\\nb=2"), { a: "1", b: "2" }));
`,
};

export const ISSUE = {
  title: "Make the parser accept empty input",
  body: '`parse("")` throws `Cannot read properties of null`. It should give an empty object.\n\nPlease add a test.',
} as const;

/**
 * Stands where a coding agent would: it reads its brief, changes two files, tries them, commits, and leaves a
 * report.
 */
export const AGENT = `#!/bin/sh
set -eu
echo "allegro: the brief has $(wc -l < "$LAZARUS_BRIEF") lines"

cat > parse.js <<'END'
/** "a=1\\nb=2" -> { a: "1", b: "2" }; empty input -> {} */
export function parse(text) {
  const lines = text.split("\\n").filter((line) => line.trim() !== "");
  return Object.fromEntries(lines.map((line) => /^(\\w+)=(.*)$/.exec(line).slice(1)));
}
END
echo 'test("gives nothing for empty input", () => assert.deepEqual(parse(""), {}));' >> parse.test.js

node --test
git add parse.js parse.test.js
git commit --quiet --message "parse: accept empty input" --message "Lines without text are skipped."

cat > "$LAZARUS_ARTIFACTS/reports/report.md" <<'END'
Empty lines are skipped before they are matched, so empty input gives an empty object.
I added a test for it; both tests pass under node --test.
END
echo "allegro: committed $(git rev-parse --short HEAD)"
`;
