import { describe, expect, it } from "vitest";
import { html } from "../../src/dashboard/html.ts";
import { lastLines, logText } from "../../src/dashboard/log-lines.ts";
import { pathBack, placeOf } from "../../src/dashboard/place.ts";
import { paramsOf } from "../../src/dashboard/routes.ts";
import { showMarkdown } from "../../src/dashboard/show-markdown.ts";
import { code, md, threadLink } from "../../src/gitea/markdown.ts";

describe("what others wrote does nothing on a page", () => {
  it("in text and in attributes", () => {
    const evil = `"><script>alert(1)</script>'`;
    expect(html`<p title="${evil}">${evil}</p>`.toString()).not.toMatch(/<script|title=""/);
    expect(html`${[evil, [evil]]}`.toString()).not.toContain("<script");
  });

  it("in what our own Markdown holds of it", () => {
    const evil = "**[x](javascript:alert(1))** <img src=x onerror=alert(1)> `</code><b>` \\_a\\_";
    const shown = showMarkdown(
      md`**${evil}** is ${code(evil)} ${threadLink("#1", "https://git.example.org/a/b/pulls/1")}`,
    );
    expect(shown.toString()).not.toMatch(/<img|<b>|href="javascript/);
    expect(shown.toString()).toContain('<a href="https://git.example.org/a/b/pulls/1/">#1</a>');
    expect(showMarkdown(md`**${"allegro"} is done**: ${3} files`).toString()).toBe(
      "<strong>allegro is done</strong>: 3 files",
    );
  });

  it("in a log: links of terminals, sequences, control characters; what turns reading is shown", () => {
    const log =
      "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07 \x1b[31mred\x1b[0m a\rb\u0000\u0008 \u202Eevil\u202C \x9b1m\x1bPq\x1b\\";
    expect(logText(log)).toBe("click red a\nb ⟨U+202E⟩evil⟨U+202C⟩ ");
  });

  it("in a log of one line of 50 MB, and of many", () => {
    expect(lastLines("x".repeat(50_000_000), 500).lines.join("").length).toBeLessThan(5_000);
    const { lines, before } = lastLines("a\n".repeat(1_000_000), 500);
    expect([lines.length, before]).toEqual([500, 999_500]);
  });
});

describe("where one is sent back to", () => {
  it.each(["//a", "/\\a", "http://a", "javascript:1", "", "/a b", "/a\nb", "a", `/${"x".repeat(600)}`])(
    "never %j",
    (to) => {
      expect(pathBack(to)).toBe("/");
    },
  );

  it("is a path of ours", () => {
    expect(pathBack("/cells?state=idle&q=a%20b")).toBe("/cells?state=idle&q=a%20b");
    expect(placeOf("https://x.example/lazarus").link("/cells")).toBe("/lazarus/cells");
    expect(paramsOf("/cells/:id/artifacts/*", "/cells/4f/artifacts/a/b%2fc")).toEqual({
      id: "4f",
      rest: "a/b/c",
    });
    expect(paramsOf("/cells/:id", "/cells/%ff")).toBe(null);
  });
});
