import { marked, type Token } from "marked";
import { describe, expect, it } from "vitest";
import {
  code,
  details,
  fenced,
  findMarker,
  join,
  marker,
  md,
  mention,
  quote,
  raw,
  table,
  threadLink,
  title,
} from "../../src/gitea/markdown.ts";
import { plain } from "../../src/visible.ts";
import { growth } from "../fakes/growth.ts";
import { closingIn, liveIn } from "./references.ts";

const ATTACKS = [
  "@dev",
  "hi @dev, you",
  "(@dev) [@dev]",
  "@acme/owners",
  "a@b.co@dev",
  "\\@dev \\\\@dev",
  "&#64;dev &commat;dev",
  "x\n@dev",
  "*a*@dev",
  "#1",
  "'#1' \"!1\"",
  "acme/app#1",
  "a@b.co#1",
  "fixes #1",
  "Closes: #1",
  "resolved acme/app#1",
  "reopens !1",
  "fixes https://forge.example/acme/app/issues/1",
  "https://forge.example/acme/app/issues/1",
  "www.forge.example/acme/app/issues/1",
  "ftp://forge.example/",
  "[x](https://evil.example)",
  "![x](https://evil.example/p.png)",
  "[x]: https://evil.example",
  "[^1]",
  "<https://evil.example>",
  "<img src=x onerror=y>",
  "<!-- lazarus:card:1 -->",
  "</details></summary>",
  "<script>",
  "# heading",
  "> quote",
  "> [!NOTE]",
  "- item",
  "+ item",
  "1. item",
  "1) item",
  "---",
  "===",
  "***bold*** __bold__ _it_ ~~gone~~",
  "```\ncode",
  "~~~",
  "`a` ``b",
  "    indented",
  "a | b\n--|--",
  "\\[ x \\] \\( y \\) $z$ $$z$$",
  ": definition",
  "&lt;b&gt; &#8238;",
  "end\\",
  "end!",
  "end<",
  "end&",
  "https:",
] as const;

const PLAIN = new Set(["paragraph", "text", "escape", "space"]);

function typesOf(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => [
    token.type,
    ...("tokens" in token && token.tokens ? typesOf(token.tokens) : []),
  ]);
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return state / 4_294_967_296;
  };
}

function randomText(next: () => number): string {
  const pieces = [
    ..." \n\t@#!<>&[]()`*_~|$\\/:.-+=1a\"'",
    "dev",
    "fixes",
    "acme/app",
    "http://",
    "www.",
    "<!--",
    "-->",
    "\u202e",
    "\u200b",
    "\x1b[1m",
  ];
  return Array.from(
    { length: 1 + Math.floor(next() * 14) },
    () => pieces[Math.floor(next() * pieces.length)],
  ).join("");
}

describe("md", () => {
  it("keeps our own words and other Markdown, and defuses strings", () => {
    expect(md`**${"a*b"}** ${md`_${3}_`} ${raw("[x](y)")}`.text).toBe("**a\\*b** _3_ [x](y)");
  });

  it.each(ATTACKS)("makes nothing but text of %j", (attack) => {
    for (const text of [md`${attack}`.text, md`before ${attack} after`.text, md`${attack}${attack}`.text]) {
      expect(liveIn(text)).toEqual([]);
      expect(typesOf(marked.lexer(text)).filter((type) => !PLAIN.has(type))).toEqual([]);
      expect(text).not.toContain("<!--");
      expect(text).not.toContain("\n");
    }
  });

  it("makes nothing live of any text", () => {
    const next = random(7);
    for (let round = 0; round < 5_000; round++) {
      const [a, b] = [randomText(next), randomText(next)];
      const text = md`${a}${b} then ${a}`.text;
      const types = typesOf(marked.lexer(text)).filter((type) => !PLAIN.has(type));
      const found = { live: liveIn(text), types };
      expect(found, JSON.stringify({ a, b, text })).toEqual({ live: [], types: [] });
      expect(text).not.toMatch(/<!--|[\u0000-\u001f\u200b\u202e]|^ ?\\\[/);
    }
  });

  it("shows a text as it was", () => {
    for (const shown of [
      "a_b <c> & d",
      "1. x",
      "- y",
      "#1 @dev !2",
      "[z](w)",
      "a\\b`c`",
      "x < y && y > z",
      "10% of 5*3 | 4",
    ]) {
      const html = marked.parseInline(md`${shown}`.text) as string;
      const text = html
        .replace(/&lt;/g, "<")
        .replace(/&gt;/g, ">")
        .replace(/&quot;/g, '"')
        .replace(/&#91;/g, "[")
        .replace(/&amp;/g, "&");
      expect(text).toBe(shown);
    }
  });

  it("does not let the end of a text close what we name after it", () => {
    expect(closingIn(md`${"this fixes"} #12`.text)).toEqual([]);
    expect(md`draft #${12} of ${"x"}`.text).toBe("draft #12 of x");
  });

  it("leaves ordinary prose as it is", () => {
    const prose = "It's done: 2 commits, 3 files (+41 −7), snake_case and src/a.ts; why not?";
    expect(md`${prose}`.text).toBe(prose);
  });

  it.each([...[" ", "\n", "`", "[", "@a ", "fixes #1 ", "\x1b]", "\x1b[", "a/", "<!--"]])(
    "takes twice as long for twice as much of %j",
    (piece) => {
      const work = (bytes: number) => {
        const text = piece.repeat(bytes / piece.length);
        md`${text}`;
        code(text);
        fenced(text, 60_000);
        quote(text, 1_000);
        title(text);
        details(text, md`x`);
      };
      expect(growth(work, { from: 10_000, most: 1_280_000 })).toBeLessThan(3);
    },
  );
});

describe("code", () => {
  it.each(ATTACKS)("keeps %j inside", (attack) => {
    const tokens = marked.lexer(md`x ${code(attack)} y`.text);
    expect(typesOf(tokens).filter((type) => type !== "codespan" && !PLAIN.has(type))).toEqual([]);
    expect(typesOf(tokens)).toContain("codespan");
    expect(closingIn(code(attack).text)).toEqual([]);
  });

  it("is never opened or closed by a neighbour", () => {
    const text = md`${code("a")}${code("b ` @dev")}${"`"}${code("")}`.text;
    const spans = marked
      .lexer(text)
      .flatMap((token) => ("tokens" in token && token.tokens ? token.tokens : []));
    expect(spans.filter((span) => span.type === "codespan").map((span) => span.raw)).toEqual([
      "`a`",
      "``b ` @dev``",
      "` `",
    ]);
  });
});

describe("fenced", () => {
  it.each(ATTACKS)("keeps %j inside", (attack) => {
    const text = fenced(`${attack}\n${"`".repeat(5)}\n@dev`, 1_000).text;
    expect(marked.lexer(text).map((token) => token.type)).toEqual(["code"]);
    expect(closingIn(text)).toEqual([]);
    expect(text).not.toContain("<!--");
  });

  it("cuts at the end or at the start, between characters, and says so", () => {
    expect(fenced("äöü", 3).text).toBe("```\nä\n[cut: first 3 bytes shown]\n```");
    expect(fenced("äöü", 3, "end").text).toBe("```\n[cut: last 3 bytes shown]\nü\n```");
    expect(fenced("äöü\n", 7).text).toBe("```\näöü\n```");
  });

  it("shows a log without the terminal's colours", () => {
    expect(fenced("\x1b[32mok\x1b[0m \x1b]0;title\x07done\r\nnext\x00", 100).text).toBe(
      "```\nok done\nnext\n```",
    );
  });
});

describe("quote", () => {
  it("quotes and defuses every line", () => {
    expect(quote("Hello @dev\r\n\r\n\r\n# no heading\n    no code", 100).text).toBe(
      "> Hello \\@dev\n>\n> \\# no heading\n> no code",
    );
  });

  it.each(ATTACKS)("makes nothing but text of %j", (attack) => {
    const text = quote(`${attack}\n${attack}`, 1_000).text;
    expect(
      typesOf(marked.lexer(text)).filter(
        (type) => type !== "blockquote" && type !== "br" && !PLAIN.has(type),
      ),
    ).toEqual([]);
    for (const line of text.split("\n")) expect(liveIn(line.replace(/^> ?/, ""))).toEqual([]);
  });

  it("cuts", () => {
    expect(quote("one two three", 7).text).toBe("> one two …");
  });
});

describe("table, details, join", () => {
  it("keeps cells in their columns", () => {
    const text = table(
      ["a|b", "c"],
      [["x | y\nz", code("p|q\\|r")], ["</table>", md`**s**`], ["only one"]],
    ).text;
    const [found] = marked.lexer(text);
    if (found?.type !== "table") throw new Error(`no table: ${text}`);
    expect(found.header).toHaveLength(2);
    expect(found.rows.map((row: readonly unknown[]) => row.length)).toEqual([2, 2, 2]);
    expect(text.split("\n")).toHaveLength(5);
  });

  it.each(ATTACKS)("lets %j not out of its part", (attack) => {
    const text = details(attack, md`${attack}`).text;
    expect(
      text
        .match(/<\/?[a-z!]+/g)
        ?.filter((tag) => !tag.startsWith("<script") && !tag.startsWith("<img") && tag !== "<https"),
    ).toEqual(
      attack === "</details></summary>"
        ? expect.anything()
        : ["<details", "<summary", "</summary", "</details"],
    );
    const [first] = text.split("\n");
    expect(first).toMatch(/^<details><summary>[^<>]*<\/summary>$/);
    expect(text.endsWith("\n\n</details>")).toBe(true);
  });

  it("joins defused parts", () => {
    expect(join(["@a", md`**b**`, 3], " · ").text).toBe("\\@a · **b** · 3");
    expect(join([], ", ").text).toBe("");
  });
});

describe("markers and mentions", () => {
  it("finds a marker in the first line only", () => {
    const text = marker("card:4f1c0b7e-1").text;
    expect(findMarker(`${text}\nHello`)).toBe("card:4f1c0b7e-1");
    expect(findMarker(`${text}\r\nHello`)).toBe("card:4f1c0b7e-1");
    expect(findMarker(text)).toBe("card:4f1c0b7e-1");
    for (const forged of [`Hello\n${text}`, ` ${text}`, `${text} x`, `> ${text}`, `\n${text}`])
      expect(findMarker(forged)).toBeNull();
  });

  it("refuses a name that would end the marker", () => {
    expect(() => marker("a --> b")).toThrow("no name of a marker");
    expect(() => marker("a--")).toThrow("no name of a marker");
  });

  it("mentions on purpose, and only accounts", () => {
    expect(mention("dev").text).toBe("@dev");
    expect(liveIn(mention("dev @all").text)).toEqual([]);
  });
});

describe("title", () => {
  it("is one line of visible characters", () => {
    expect(title(" a\n\x1b[31mb\u202ec\u200b\td\x00 ")).toBe("a bc d");
  });

  it.each(ATTACKS)("closes and mentions nothing by %j", (attack) => {
    const text = title(`${attack} ${attack}`);
    expect(closingIn(text)).toEqual([]);
    expect(liveIn(text).filter((found) => found.startsWith("MENTION"))).toEqual([]);
  });

  it("is cut between characters", () => {
    expect(title("ä".repeat(300))).toBe(`${"ä".repeat(98)}…`);
    expect(Buffer.byteLength(title("x".repeat(300), 50))).toBe(50);
  });

  it("leaves an ordinary one alone", () => {
    expect(title("Make the parser accept empty input (#262)")).toBe(
      "Make the parser accept empty input (#262)",
    );
  });
});

describe("plain", () => {
  it("keeps lines and tabs, and drops what is not seen", () => {
    expect(plain("a\r\nb\rc\u2028d\te\u{E0041}f\uFEFF\u00AD\x9b31mg")).toBe("a\nb\nc\nd\tefg");
  });

  it("keeps letters of all kinds", () => {
    expect(plain("日本語 naïve 😀")).toBe("日本語 naïve 😀");
  });
});

describe("a link to a thread", () => {
  it("goes where the forge finds no reference", () => {
    const url = "https://git.example.org/acme/app/pulls/271";
    expect(threadLink("#271", url).text).toBe("[#271](https://git.example.org/acme/app/pulls/271/)");
    expect(threadLink("acme/app#271", `${url}/`).text).toBe(`[acme/app#271](${url}/)`);
  });

  it.each([
    ["#271", "javascript:alert(1)"],
    ["#271", "https://git.example.org/a) [x](https://evil.example"],
    ["fixes #271", "https://git.example.org/acme/app/pulls/271"],
  ])("is code where it is none: %s %s", (shown, url) => {
    expect(threadLink(shown, url).text).toBe(`\`${shown.replace("fixes #", "fixes  #")}\``);
  });
});
