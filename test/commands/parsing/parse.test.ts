import { describe, expect, test } from "vitest";
import { typedLines } from "../../../src/commands/parsing/command-lines.ts";
import { lineAt, parseCommands, splitWords, type VerbGrammar } from "../../../src/commands/parsing/parse.ts";
import { growth } from "../../fakes/growth.ts";

const GRAMMAR: readonly VerbGrammar[] = [
  { verb: "summon", flags: { "--ttl": "value", "--base": "value", "--plan": "switch" } },
  { verb: "tell", flags: { "--now": "switch" }, raw: true },
  { verb: "status", flags: {} },
  { verb: "stop", flags: {} },
  { verb: "help", flags: {} },
];
const parse = (text: string) => parseCommands(text, GRAMMAR);
/** The verbs that were understood. */
const verbs = (text: string) =>
  parse(text).map((each) => (each.kind === "command" ? each.verb : each.problem.code));
const only = (text: string) => {
  const [first, ...more] = parse(text);
  expect(more).toEqual([]);
  return first;
};
const problem = (text: string) => {
  const first = only(text);
  return first?.kind === "problem" ? first.problem : null;
};

describe("a command", () => {
  test("has a verb, words, flags and a line", () => {
    expect(only("Hello,\n\n/lazarus summon allegro acme/app#262 --ttl 4h --plan --base=main")).toEqual({
      kind: "command",
      line: 3,
      verb: "summon",
      words: ["allegro", "acme/app#262"],
      flags: { "--ttl": "4h", "--plan": true, "--base": "main" },
      text: null,
    });
  });

  test("keeps what follows -- as it is, with all lines up to the next command", () => {
    const text =
      '/lazarus summon allegro --plan -- don\'t  "break" --it\r\n\r\n```\r\n/lazarus stop\r\n```\r\n/lazarus status';
    expect(parse(text)).toEqual([
      {
        kind: "command",
        line: 1,
        verb: "summon",
        words: ["allegro"],
        flags: { "--plan": true },
        text: 'don\'t  "break" --it\n\n```\n/lazarus stop\n```',
      },
      { kind: "command", line: 6, verb: "status", words: [], flags: {}, text: null },
    ]);
    expect(only("/lazarus summon --\nfix it")).toMatchObject({ text: "fix it" });
    expect(only("/lazarus summon '--' a")).toMatchObject({ words: ["--", "a"], text: null });
  });

  test.each([
    ["/lazarus tell 4f1c it's --now\nmore", {}, "4f1c it's --now\nmore"],
    ["/lazarus tell --now stop it", { "--now": true }, "stop it"],
    ["/lazarus tell -- --now is a flag", {}, "--now is a flag"],
    ["/lazarus tell --later x", {}, "--later x"],
    ["/lazarus tell", {}, null],
  ])("takes the words of tell raw: %j", (text, flags, raw) => {
    expect(only(text)).toMatchObject({ verb: "tell", words: [], flags, text: raw });
  });

  test.each(["/lazarus", "/Lazarus  ", "/lazarus --help", "/LAZARUS HELP", "   /lazarus\thelp"])(
    "%j asks for help",
    (text) => {
      expect(only(text)).toMatchObject({ verb: "help", words: [] });
    },
  );

  test("may end its lines in any way", () => {
    expect(verbs("/lazarus stop\r\n/lazarus status\r/lazarus help\n")).toEqual(["stop", "status", "help"]);
  });
});

describe("a problem", () => {
  test.each([
    ["/lazarus sumon", { code: "unknown-verb", typed: "sumon", hint: "summon" }],
    ["/lazarus sttaus", { code: "unknown-verb", typed: "sttaus", hint: "status" }],
    ["/lazarus frobnicate", { code: "unknown-verb", typed: "frobnicate", hint: null }],
    ["/lazarus summon it's", { code: "open-quote", typed: "it's", hint: null }],
    ['/lazarus summon --base "x', { code: "open-quote", typed: '"x', hint: null }],
    ["/lazarus summon --tll 4h", { code: "unknown-flag", typed: "--tll", hint: "--ttl" }],
    ["/lazarus stop --constructor", { code: "unknown-flag", typed: "--constructor", hint: null }],
    ["/lazarus summon --ttl", { code: "missing-value", typed: "--ttl", hint: null }],
    ["/lazarus summon --ttl= a", { code: "missing-value", typed: "--ttl", hint: null }],
    ["/lazarus summon --ttl --plan", { code: "missing-value", typed: "--ttl", hint: null }],
    ["/lazarus summon --plan=yes", { code: "unexpected-value", typed: "--plan=yes", hint: null }],
    ["/lazarus summon --ttl 1h --ttl 2h", { code: "repeated-flag", typed: "--ttl", hint: null }],
  ])("%s", (text, expected) => {
    expect(problem(text)).toEqual(expected);
  });

  test("is a command whose words have no end, cut", () => {
    expect(problem(`/lazarus summon ${"a".repeat(3000)}`)).toMatchObject({
      code: "too-long",
      typed: `${"a".repeat(79)}…`,
    });
    expect(only(`/lazarus summon -- ${"a".repeat(3000)}`)).toMatchObject({ kind: "command" });
  });

  test("is a comment of more than 64 KB with a command in it", () => {
    expect(parse(`${"x".repeat(64 * 1024)}\n/lazarus stop\n/lazarus help`)).toEqual([
      { kind: "problem", line: 2, problem: { code: "too-much-text", typed: "/lazarus", hint: null } },
    ]);
  });

  test("is said once for everything beyond ten commands", () => {
    const parsed = parse("/lazarus stop\n".repeat(14));
    expect(parsed).toHaveLength(11);
    expect(parsed[10]).toEqual({
      kind: "problem",
      line: 11,
      problem: { code: "too-many", typed: "/lazarus stop", hint: null },
    });
  });
});

describe("nothing is said to Lazarus", () => {
  test.each([
    ["in the middle of a line", "please /lazarus stop"],
    ["to somebody else", "/lazarusx stop\n/lazarus:stop\nlazarus stop"],
    ["in a fence", "```\n/lazarus stop\n```"],
    ["in a fence of tildes", "~~~sh\n```\n/lazarus stop\n```\n~~~"],
    ["in a fence that a shorter one does not close", "````\n```\n/lazarus stop\n````"],
    ["in a fence that is never closed", "```\n\n/lazarus stop"],
    ["in a fence right after a paragraph", "text\n```\n/lazarus stop\n```"],
    ["in a list item's fence", "1. do\n   ```\n   /lazarus stop\n   ```"],
    ["in a fence on a list item's own line", "- ```\n  /lazarus stop\n  ```"],
    ["in a list item", "- do\n  /lazarus stop\n\n  /lazarus stop"],
    ["in indented code", "text\n\n    /lazarus stop"],
    ["in code indented by a tab", "\t/lazarus stop"],
    ["in inline code over several lines", "see `this\n/lazarus stop\nthat` there"],
    ["in inline code of two backticks", "see ``a ` b\n/lazarus stop`` there"],
    ["in a comment", "<!--\n\n/lazarus stop\n\n-->"],
    ["in a comment that is never closed", "<!-- x\n\n/lazarus stop"],
    ["in a comment inside a paragraph", "text <!-- hidden\n/lazarus stop\n--> text"],
    ["in HTML", "<div>\n/lazarus stop\n</div>"],
    ["in preformatted HTML", "<pre>\n\n/lazarus stop\n\n</pre>"],
    ["in an HTML quote", "<blockquote>\n\n/lazarus stop\n\n</blockquote>"],
    ["in code in HTML", "<details><summary>x</summary><pre>\n\n/lazarus stop\n\n</pre></details>"],
    ["in a quote in HTML", "<details><blockquote>\n\n/lazarus stop\n\n</blockquote></details>"],
    ["in code of HTML over two lines", "see <code>this\n/lazarus stop\n</code>"],
    ["in a cell of a table", "| a |\n| --- |\n| /lazarus stop |"],
    ["in a line that holds the reader's own marks", "\u{E000}0\u{E001} stop\n> /lazarus stop"],
    ["in a quote", "> /lazarus stop\n>\n>/lazarus stop"],
    ["in a quote of a quote", "> > /lazarus stop"],
    ["in a line that goes on with a quote", "> as dev said\n/lazarus stop"],
    ["in a line that goes on with a list item's quote", "- > as dev said\n/lazarus stop"],
    ["in an empty comment", ""],
    ["in a long comment that only mentions us", `see /lazarus stop\n${"x".repeat(64 * 1024)}`],
  ])("%s", (_, text) => {
    expect(parse(text)).toEqual([]);
  });
});

describe("a command is seen", () => {
  test.each([
    ["after a closed fence", "```\ncode\n```\n/lazarus stop"],
    ["after a closed fence of a list item", "- x\n  ```\n  code\n  ```\n\n/lazarus stop"],
    ["after a list item's fence that its item ended", "- ```\n  code\n/lazarus stop"],
    ["after a quote and an empty line", "> as dev said\n\n/lazarus stop"],
    ["after a quote that ended in code", "> ```\n> code\n/lazarus stop"],
    ["after an empty line of a quote", "> as dev said\n>\n/lazarus stop"],
    ["after a heading", "# Title\n/lazarus stop"],
    ["after a list", "- one\n- two\n\n/lazarus stop"],
    ["directly below a list", "- one\n- two\n/lazarus stop"],
    ["directly below a paragraph", "please\n/lazarus stop"],
    ["after a comment", "<!-- x -->\n/lazarus stop"],
    ["after the shortest comment", "a <!--> b\n/lazarus stop\n-->"],
    ["after a lone backtick", "it is ` here\n/lazarus stop"],
    ["after backticks of another length", "a `` b\n/lazarus stop `"],
    ["after an escaped backtick", "a \\` b\n/lazarus stop `"],
    ["after backticks that are no fence", "``` a ` b\n/lazarus stop"],
    ["after code in HTML", "<pre>\n\nx\n\n</pre>\n\n/lazarus stop"],
    ["in unfolded details", "<details>\n\n/lazarus stop\n\n</details>"],
    ["before code on its own line", "/lazarus stop `now`"],
  ])("%s", (_, text) => {
    expect(verbs(text)).toEqual(["stop"]);
  });
});

describe("hostile text", () => {
  const pieces = [
    "/lazarus ",
    "summon",
    "tell",
    "--ttl",
    "=",
    " -- ",
    "\n",
    "\r\n",
    "\t",
    "    ",
    "> ",
    "- ",
    "1. ",
    "```",
    "~~~",
    "`",
    "<!--",
    "-->",
    "<div>",
    "'",
    '"',
    "\\",
    "\0",
    "é",
    "\u{1f600}",
    "\ud800",
    "# ",
  ];

  test("is read to its end, however many tags in it have none", () => {
    const lines = ["<div>", "<pre ".repeat(200_000), "", "/lazarus help"];
    expect(typedLines(lines)).toEqual([3]);
    expect(typedLines(["<div>", '<pre title="<code>">', "", "/lazarus help"])).toEqual([]);
  });

  test("has its lines counted as its readers count them, also where it is too long to be read", () => {
    const ends = ["\n", "\r", "\r\n", "a", ""];
    for (let n = 0; n < 5 ** 5; n++) {
      const text = Array.from({ length: 5 }, (_, at) => ends[Math.floor(n / 5 ** at) % 5]).join("");
      const lines = text.split(/\r\n|\r|\n/);
      expect(lines.map((_, at) => lineAt(text, at + 1))).toEqual(lines);
    }
    const text = `${"\r\n\n\r".repeat(30_000)}/lazarus help`;
    expect(parse(text)).toMatchObject([{ kind: "problem", line: 90_001 }]);
  });

  test("is parsed without a throw, whatever it is, and never gives more than eleven answers", () => {
    let seed = 20_26;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    for (let round = 0; round < 3000; round++) {
      const text = Array.from({ length: random(60) }, () => pieces[random(pieces.length)]).join("");
      const parsed = parse(text);
      expect(parsed.length).toBeLessThanOrEqual(11);
      for (const each of parsed)
        expect(text.split(/\r\n|\r|\n/)[each.line - 1]).toMatch(/^ {0,3}\/lazarus(\s|$)/i);
    }
  });

  test.each([
    ...pieces,
    "> - ",
    "`a ``b ",
    "a `",
    "<!-- ",
    "' \"",
    "\\'",
    "/lazarus `\n",
    "/lazarus stop\n",
    "- \n",
    "  - a\n",
    "<a ",
    "-\t",
    "*  ",
  ])("of 64 KB of %j takes twice as long as half of it", (piece) => {
    const work = (bytes: number) => {
      const line = piece.repeat(Math.floor(bytes / Buffer.byteLength(piece)));
      parse(`${line}x`);
      parse(`/lazarus summon ${line}`);
      parse(`/lazarus tell ${line}\n/lazarus stop`);
      splitWords(line);
    };
    expect(growth(work, { from: 1_000, most: 64_000 })).toBeLessThan(3);
  });
});

describe("words of a line", () => {
  test.each([
    ["a  b\tc", ["a", "b", "c"]],
    ["'a b' \"c d\"", ["a b", "c d"]],
    ["a'b c'd", ["ab cd"]],
    ['"x\\"y" "a\\b" \'a\\b\' a\\ b', ['x"y', "a\\b", "a\\b", "a b"]],
    ["'' \"\"", ["", ""]],
    ["$HOME `x` a|b #c", ["$HOME", "`x`", "a|b", "#c"]],
    ["end\\", ["end\\"]],
    ["   ", []],
  ])("%s", (line, words) => {
    expect(splitWords(line)).toEqual({ words });
  });

  test("say where a quote was opened and not closed", () => {
    expect(splitWords("a it's")).toEqual({ problem: { code: "open-quote", typed: "it's", hint: null } });
  });
});
