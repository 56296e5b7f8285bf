import { describe, expect, it } from "vitest";
import { LogScan, SecretScan } from "../../../src/runner/git/scan-text.ts";
import { createFinder } from "../../../src/secret-finder.ts";
import { disguises } from "../../fakes/disguises.ts";
import { growth } from "../../fakes/growth.ts";

const SECRET = "s3cr3t-of-a-forge-0123456789";
const finder = createFinder();
finder.add(SECRET);

function isSeen(text: string, pieceLength = 65_536): boolean {
  const scan = new SecretScan(finder);
  for (let at = 0; at < text.length; at += pieceLength) scan.push(text.slice(at, at + pieceLength));
  return scan.end().size > 0;
}

describe("a text that comes in pieces", () => {
  const between = (filler: string, times: number) => SECRET.split("").join(filler.repeat(times));

  it.each([0, 1_000, 60_000, 130_000, 196_600, 255_000, 262_130, 700_000])(
    "shows its secret after %i other characters",
    (before) => {
      expect(isSeen(`${"x y".repeat(before / 3)} ${SECRET} ${"z".repeat(100_000)}`)).toBe(true);
      expect(isSeen(`${"x y".repeat(before / 3)} ${"z".repeat(100_000)}`)).toBe(false);
    },
  );

  it.each([
    ["line breaks", "\n", 40_000],
    ["backslashes", "\\", 40_000],
    ["escape sequences", "\x1b[31m", 10_000],
    ["line breaks, some", "\n    ", 3],
  ])("shows a secret with %s between its characters, over many windows", (_what, filler, times) => {
    expect(isSeen(`${"a b ".repeat(20_000)}${between(filler, times)}`)).toBe(true);
    expect(isSeen(`${"a b ".repeat(20_000)}${between(filler, times).slice(0, -2)}`)).toBe(false);
  });

  it.each(disguises(SECRET))("shows a secret that is disguised %s", (_, form) => {
    expect(isSeen(`${"a b ".repeat(20_000)}${form}${" c d".repeat(100_000)}`)).toBe(true);
    expect(isSeen(`${"a b ".repeat(65_000)} ${form}`, 7_001)).toBe(true);
  });

  it.each([
    ["line breaks", "\n"],
    ["quotes", "\n> "],
    ["signs of diffs", "\n+"],
    ["comments", "<!-- -->"],
    ["stars", "****"],
  ])("shows what stands for its characters with %s in between, over many windows", (_what, filler) => {
    const codes = SECRET.split("").map((char) => `\\x${char.charCodeAt(0).toString(16)}`);
    const text = `${"a b ".repeat(20_000)}${codes.join(filler.repeat(20_000))}`;
    expect(isSeen(text)).toBe(true);
    expect(isSeen(text.slice(0, -4))).toBe(false);
  });

  it.each(["\n", "<!--"])("is looked through in twice the time where it is twice as long: %j", (piece) => {
    const text = (length: number) => piece.repeat(length / piece.length);
    expect(growth((n) => isSeen(text(n)), { from: 600_000, most: 6_400_000 })).toBeLessThan(3);
  });
});

describe("secrets with names", () => {
  const named = createFinder();
  named.add("production-of-acme", "NODE_ENV");
  named.add("key-of-a-model-123", "KEY");
  named.add(SECRET);
  const names = (text: string) => {
    const scan = new SecretScan(named);
    scan.push(text);
    return scan.end();
  };

  it("are all named, and one without a name stands for all", () => {
    const both = `PRODUCTION-of-acme ${"x y".repeat(200_000)} key-of-a-\n> model-123`;
    expect([...names(both)]).toEqual(["NODE_ENV", "KEY"]);
    expect(names(`${both} ${SECRET}`).has(null)).toBe(true);
    expect(names("production of acme").size).toBe(0);
  });
});

describe("a log", () => {
  const MARK = "5f0c5c4e-mark";
  const log = (commits: readonly string[]) =>
    commits.map((text, n) => `${MARK}${`${n}`.repeat(40)}\n${text}`).join("");
  const found = (text: string, pieceLength: number) => {
    const scan = new LogScan(MARK, finder);
    for (let at = 0; at < text.length; at += pieceLength) scan.push(text.slice(at, at + pieceLength));
    return scan.end();
  };

  it.each([1, 7, 40, 1_000_000])("names the commits that show a secret, in pieces of %i", (pieceLength) => {
    const [half, rest] = [SECRET.slice(0, 9), SECRET.slice(9)];
    const commits = [
      "+fine\n",
      `+${SECRET}\n`,
      `-${half}\n-${rest}\n`,
      `+${half}\n`,
      `+${rest}\n`,
      "+fine\n",
    ];
    expect(found(log(commits), pieceLength)).toEqual([
      { commit: "1111111111", names: [null] },
      { commit: "2222222222", names: [null] },
    ]);
  });
});
