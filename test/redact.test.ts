import { describe, expect, it } from "vitest";
import { createRedactor } from "../src/redact.ts";
import { CELL_TOKEN_PREFIX } from "../src/secret-forms.ts";
import { disguises } from "./fakes/disguises.ts";
import { growth } from "./fakes/growth.ts";

const SECRET = "tök/en+W1th&odd=ch@rs\"x'<y>\\z";
const TOKEN = "0123456789abcdef0123456789abcdef01234567";

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

const PUBLIC = "s3cr3t-Of-a-forge-0123456789";
const NAMES: Readonly<Record<string, string>> = {
  ...{ "&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "#": "num", "+": "plus", ",": "comma" },
  ...{ ".": "period", "/": "sol", ":": "colon", ";": "semi", "=": "equals", "?": "quest", "@": "commat" },
  ...{ "!": "excl", $: "dollar", "%": "percnt", "(": "lpar", ")": "rpar", "*": "ast", "[": "lsqb" },
  ...{ "]": "rsqb", "^": "Hat", _: "lowbar", "`": "grave", "{": "lcub", "}": "rcub", "|": "verbar" },
};

describe("redact", () => {
  const forms: readonly (readonly [string, string])[] = [
    ["plain", SECRET],
    ["JSON-escaped", JSON.stringify(SECRET).slice(1, -1)],
    [
      "JSON as Go writes it",
      JSON.stringify(SECRET)
        .slice(1, -1)
        .replaceAll("&", "\\u0026")
        .replaceAll("<", "\\u003c")
        .replaceAll(">", "\\u003e"),
    ],
    ["URL-encoded", encodeURIComponent(SECRET)],
    ["URL-encoded in lower case", encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase())],
    ["percent for every byte", Buffer.from(SECRET).toString("hex").replace(/../g, "%$&")],
    ["a form's value", new URLSearchParams({ a: SECRET }).toString().slice(2)],
    ["hex", Buffer.from(SECRET).toString("hex")],
    ["hex in upper case", Buffer.from(SECRET).toString("hex").toUpperCase()],
    ["HTML-escaped", SECRET.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")],
    ["split over two lines", `${SECRET.slice(0, 9)}\n${SECRET.slice(9)}`],
    ["split over two lines with blanks on both sides", `${SECRET.slice(0, 9)}  \r\n\t  ${SECRET.slice(9)}`],
    ["split inside JSON", `${SECRET.slice(0, 9)}\\n  ${JSON.stringify(SECRET.slice(9)).slice(1, -1)}`],
    ["coloured in the middle", `${SECRET.slice(0, 9)}\x1b[31m${SECRET.slice(9)}`],
    ["with what nobody sees in it", [...SECRET].join("\u200b")],
    ["escaped as Markdown", SECRET.replace(/[\\@<&]/g, "\\$&")],
    ["in URL-safe base64", Buffer.from(SECRET).toString("base64url")],
  ];
  it.each(forms)("hides a secret that is %s", (_, form) => {
    expect(createRedactor([SECRET]).redact(`before ${form} after`)).toBe("before [redacted] after");
  });

  it.each(disguises(PUBLIC))("hides a secret that is disguised %s", (_, form) => {
    const seen = createRedactor([PUBLIC]).redact(`before ${form} after`);
    expect(seen).toMatch(/^before x?\S{0,5}\[redacted\]\S{0,4} after$/);
  });

  it("hides what names in signs stand for", () => {
    const secret = "a&b<c>d\"e'f#g+h,i.j/k:l;m=n?o@p!q$r%s(t)u*v[w]x^y_z`{0}|1";
    const named = secret.replace(/[^a-z0-9]/g, (sign) => `&${NAMES[sign]};`);
    expect(createRedactor([secret]).redact(`before ${named} after`)).toBe("before [redacted] after");
  });

  it("keeps what only looks a little like it", () => {
    const text = `${PUBLIC.slice(0, -1)} ${PUBLIC.slice(1)} &#115; 73 33 63 <!-- x --> **** \n> quote \\x41`;
    expect(createRedactor([PUBLIC]).redact(text)).toBe(text);
  });

  it("hides a secret that holds what others leave out", () => {
    for (const secret of [
      "ab****cdefgh",
      "abcd\\x41efgh",
      "abcd%41efgh",
      "abcd&#65;efgh",
      "abcd<!-- -->efgh",
    ])
      expect(createRedactor([secret]).redact(`before ${secret} after`)).toBe("before [redacted] after");
  });

  it.each([
    ["a comment", "<!-- ", " -->"],
    ["what a terminal leaves out", "\x1b[", ""],
    ["the same in words", "\\e[0;", ""],
    ["percent", "%", ""],
  ])("hides a secret within %s", (_, open, close) => {
    for (const secret of [PUBLIC, TOKEN, `4a${TOKEN}`])
      for (const text of [secret, secret.replace(/..../g, "$&\n> "), base64(secret)])
        expect(createRedactor([secret]).redact(`before ${open}${text}${close} after`)).toMatch(
          /^before .{0,6}\[redacted\][\w\s>=]{0,4}( -->)? after$/,
        );
  });

  it("hides a secret that goes on with a sign of diffs after the line's end", () => {
    for (const secret of ["abcdefgh-ijkl", "abcdefgh+ijkl", "abcdefgh#ijkl"])
      for (const sign of ["\n", "\n+", "\n> "]) {
        const text = `before ${secret.slice(0, 8)}${sign}${secret.slice(8)} after`;
        expect(createRedactor([secret]).redact(text)).toBe("before [redacted] after");
      }
  });

  it.each(["", "u", "us", "user:"])("hides a secret in base64 behind %j", (before) => {
    for (const after of ["", "\n", "--", "xyz!"]) {
      const text = base64(before + TOKEN + after);
      const seen = createRedactor([TOKEN]).redact(`Basic ${text};`);
      expect(seen).toContain("[redacted]");
      const left = seen.replace("Basic ", "").replace(";", "").split("[redacted]");
      for (const part of left) expect(part.length).toBeLessThanOrEqual(base64(before + after).length + 4);
    }
  });

  it("hides base64 that is broken over lines", () => {
    const text = base64(`${"x".repeat(50)}${TOKEN}${"y".repeat(50)}`).replace(/.{76}/g, "$&\n");
    expect(Buffer.from(createRedactor([TOKEN]).redact(text), "base64").toString("latin1")).not.toContain(
      TOKEN.slice(2, -2),
    );
  });

  it("keeps what stands around, line ends too", () => {
    expect(createRedactor([TOKEN]).redact(`a \n ${TOKEN}\n  b ${TOKEN}${TOKEN} c`)).toBe(
      "a \n [redacted]\n  b [redacted][redacted] c",
    );
  });

  it("knows a secret with its last line end and without", () => {
    const redactor = createRedactor([`${TOKEN}\n`]);
    expect(redactor.redact(`x ${TOKEN} y`)).toBe("x [redacted] y");
    expect(redactor.redact(`${base64(`${TOKEN}\n`)}`)).toMatch(/^\[redacted\].?=*$/);
  });

  it("knows a secret of several lines", () => {
    const key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----";
    expect(createRedactor([key]).redact(JSON.stringify({ key }))).toBe('{"key":"[redacted]"}');
  });

  it("leaves values of fewer than eight characters", () => {
    const redactor = createRedactor(["", "short77", "  short7  "]);
    expect(redactor.redact("short77 short7")).toBe("short77 short7");
  });

  it("hides a secret however often it stands there", () => {
    const redactor = createRedactor(["abcdefgh"]);
    expect(redactor.redact("abcdefgh ".repeat(300_000)).slice(0, 22)).toBe("[redacted] [redacted] ");
  });

  it("learns more secrets later", () => {
    const redactor = createRedactor([]);
    expect(redactor.redact(TOKEN)).toBe(TOKEN);
    redactor.add(TOKEN);
    expect(redactor.redact(TOKEN)).toBe("[redacted]");
  });

  it.each([
    ...[
      " ",
      "\\",
      "ab\n",
      "*",
      "<!--",
      "<!-- -->",
      "&#",
      "&amp;",
      "%4",
      "%41",
      "\\x",
      "\\x41",
      "\n> ",
      "\n+",
      "4a ",
      "0x4",
      "4a",
    ],
    ...["\x1b[", "\\u{00", "&aaaaaaaaa", "\n\t"],
  ])("takes twice as long for a run of %j that is twice as long", (piece) => {
    const redactor = createRedactor([TOKEN, SECRET]);
    const text = (n: number) => `${piece.repeat(n / piece.length)}${TOKEN}`;
    expect(redactor.redact(text(1_000_000)).endsWith("[redacted]")).toBe(true);
    expect(growth((n) => redactor.redact(text(n)), { from: 10_000, most: 2_000_000 })).toBeLessThan(3);
  });
});

describe("the heartbeat token of a cell", () => {
  const token = `${CELL_TOKEN_PREFIX}${"0123456789abcdef".repeat(4)}`;
  const hex = Buffer.from(token).toString("hex");
  const { redact } = createRedactor([]);

  it.each([
    ["plain", token],
    ["in capitals", token.toUpperCase()],
    ["cut off", token.slice(0, 30)],
    ["in hex", hex],
    ["percent for every byte", hex.replace(/../g, "%$&")],
    ["split over two lines", `${token.slice(0, 40)}\n  ${token.slice(40)}`],
    ["split inside its prefix", `${token.slice(0, 5)}\x1b[0m${token.slice(5)}`],
    ["in URL-safe base64", Buffer.from(token).toString("base64url")],
  ])("is hidden by its form, whoever made it: %s", (_, form) => {
    expect(redact(`before ${form} after`)).toBe("before [redacted] after");
  });

  it.each(["", "u", "us", "Bearer "])("is hidden in base64 behind %j", (before) => {
    for (const after of ["", "\n", "--", "xyz!"]) {
      const seen = redact(base64(before + token + after));
      expect(seen).toContain("[redacted]");
      expect(seen.replace("[redacted]", "").length).toBeLessThanOrEqual(base64(before + after).length + 4);
    }
  });

  it("leaves alone what only looks a little like one", () => {
    for (const text of ["lazarus-beat-", "lazarus-beat-box", "a lazarus heartbeat", "f".repeat(64)])
      expect(redact(text)).toBe(text);
  });
});
