import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGlob, readGlobs } from "../src/globs.ts";

describe("a pattern of paths", () => {
  it.each([
    ["deploy/**", "deploy/a.sh", "covered"],
    ["deploy/**", "deploy", "covered"],
    ["deploy/", "Deploy/a/b", "covered"],
    ["deploy/**", "x/deploy/a", null],
    ["deploy", "x/deploy/a", "covered"],
    ["/deploy", "x/deploy/a", null],
    ["*.tf", "a/b/main.TF", "covered"],
    ["*.tf", "main.tf.md", null],
    ["*.tf", "x.tf/readme", "covered"],
    ["/ci/*.sh", "ci/a.sh", "covered"],
    ["/ci/*.sh", "ci/a/b.sh", null],
    ["/ci/*.sh", "ci", "above"],
    ["ci/**/run.sh", "ci/run.sh", "covered"],
    ["ci/**/run.sh", "ci/a/b/run.sh", "covered"],
    ["ci/**/run.sh", "ci/a/b", "above"],
    ["ci/**/run.sh", "src", null],
    ["**/db/*.sql", "x/y/db/1.sql", "covered"],
    ["**/db/*.sql", "x/db", "above"],
    ["**/db/*.sql", "x", null],
    ["a?c", "abc", "covered"],
    ["a?c", "a😀c", "covered"],
    ["a?c", "ac", null],
    ["**", "any/thing", "covered"],
    ["/.husky", ".hu\u200dsky/pre-commit", "covered"],
    ["/.husky", ".hu\u017fky/pre-commit", "covered"],
    ["/.husky", ".HUS\u212aY/pre-commit", "covered"],
    ["/.husky", ".husky. ./pre-commit", "covered"],
    ["/.husky/*.sh", ".\ufe0fhusky", "above"],
    ["/.husky", ".husk\u00ff", null],
    ["/a?c", "a\u00dfc", "covered"],
    ["***x", "yx", "covered"],
    ["a*b*c", "aXbXbXc", "covered"],
    ["a*b*c", "aXbXbX", null],
  ])("%s and %s: %s", (pattern, path, expected) => {
    expect(isGlob(pattern)).toBe(true);
    expect(readGlobs([pattern])(path)).toBe(expected);
  });

  it.each(["", "/", "!x", "a[b]", "{a,b}", "a\\*", "../x", "./x", "a\0b"])("is none: %j", (pattern) => {
    expect(isGlob(pattern)).toBe(false);
  });

  it("says the strongest of several", () => {
    expect(readGlobs(["/docs/x", "/docs"])("docs")).toBe("covered");
  });

  it("reads one name as a regular expression would", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), minLength: 1, maxLength: 8 });
    const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(text, name, (pattern, path) => {
        fc.pre(!/^\*\*$/.test(pattern));
        const same = new RegExp(`^${pattern.replace(/\*+/g, ".*").replaceAll("?", ".")}$`);
        expect(readGlobs([`/${pattern}`])(path) === "covered").toBe(same.test(path));
      }),
    );
  });

  it("takes no longer than both lengths multiplied", () => {
    const pattern = `/${"*a".repeat(200)}b`;
    expect(readGlobs([pattern])("a".repeat(20_000))).toBe(null);
    expect(readGlobs([`/${"**/a/".repeat(200)}b`])("a/".repeat(2_000))).toBe("above");
  });
});
