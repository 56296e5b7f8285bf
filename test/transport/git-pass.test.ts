import { describe, expect, it } from "vitest";
import type { RunnerJob } from "../../src/protocol/runner-port.ts";
import { passesOf, readPass, readPushCommands, whyNotPush } from "../../src/transport/git-pass.ts";

const MASTER = Buffer.alloc(32, 1);
const [OLD, TIP, NONE] = ["a".repeat(40), "b".repeat(40), "0".repeat(40)];
const push = {
  ...{ id: "row", kind: "push", key: "k", attempt: 2 },
  payload: {
    ...{ cellId: "c", run: 1, repository: { id: 7, fullName: "acme/app" }, branch: "lazarus/4f1c0b7e" },
    ...{ tip: TIP, lease: null, theirs: null },
  },
} as RunnerJob<"push">;

const pkt = (text: string) => `${(text.length + 4).toString(16).padStart(4, "0")}${text}`;
const command = (from: string, to: string, ref: string) =>
  Buffer.from(`${pkt(`${from} ${to} ${ref}\0 report-status`)}0000PACK`);

function allows(from: string, to: string, ref: string): string | null {
  const pass = readPass(
    MASTER,
    passesOf(MASTER, "r1", push, 0).find((one) => one.use === "push")?.pass ?? "",
  );
  const read = readPushCommands(command(from, to, ref));
  if (pass === null || read.kind !== "one") throw new Error("not one command");
  return whyNotPush(pass, read);
}

describe("a pass", () => {
  it("of a push moves the cell's branch, or its detours, to this one commit", () => {
    for (const branch of ["lazarus/4f1c0b7e", "lazarus/4f1c0b7e-2", "lazarus/4f1c0b7e-20"])
      expect(allows(OLD, TIP, `refs/heads/${branch}`)).toBeNull();
  });

  it.each([
    ["main", TIP, /is for the branch/],
    ["lazarus/4f1c0b7e-x", TIP, /is for the branch/],
    ["lazarus/4f1c0b7e/x", TIP, /is for the branch/],
    ["lazarus/4f1c0b7e-2x", TIP, /is for the branch/],
    ["lazarus/4f1c0b7e", OLD, /another commit/],
    ["lazarus/4f1c0b7e", NONE, /removes no branch/],
  ])("moves not %s to %s", (branch, to, why) => {
    expect(allows(OLD, to, `refs/heads/${branch}`)).toMatch(why);
  });

  it("is none once a letter of it is another, or another secret marked it", () => {
    const [read] = passesOf(MASTER, "r1", push, 0);
    expect(readPass(MASTER, read?.pass ?? "")).toMatchObject({
      runner: "r1",
      row: "row",
      attempt: 2,
      use: "read",
    });
    expect(readPass(Buffer.alloc(32, 2), read?.pass ?? "")).toBeNull();
    for (const forged of ["", ".", "x.y", `${read?.pass}x`, `A${read?.pass.slice(1)}`, `${read?.pass}.x`])
      expect(readPass(MASTER, forged)).toBeNull();
  });

  it("to remove a branch removes that one, as it was pushed, and nothing else", () => {
    const job = { ...push, kind: "delete-branch" } as unknown as RunnerJob;
    const pass = readPass(MASTER, passesOf(MASTER, "r1", job, 0).at(-1)?.pass ?? "");
    if (pass === null) throw new Error("no pass");
    const ref = "refs/heads/lazarus/4f1c0b7e";
    expect(whyNotPush(pass, { from: TIP, to: NONE, ref })).toBeNull();
    expect(whyNotPush(pass, { from: OLD, to: NONE, ref })).toMatch(/as it was pushed/);
    expect(whyNotPush(pass, { from: TIP, to: OLD, ref })).toMatch(/removes one branch/);
    expect(whyNotPush(pass, { from: TIP, to: NONE, ref: "refs/heads/main" })).toMatch(/removes one branch/);
  });
});

describe("what a push asks for", () => {
  it("is read off its first lines, however it comes in pieces", () => {
    const whole = command(OLD, TIP, "refs/heads/x");
    for (let cut = 0; cut < whole.length - 4; cut++) {
      const read = readPushCommands(whole.subarray(0, cut));
      expect(["needs-more", "one"]).toContain(read.kind);
    }
    expect(readPushCommands(whole)).toEqual({ kind: "one", from: OLD, to: TIP, ref: "refs/heads/x" });
    expect(readPushCommands(Buffer.from("0000"))).toEqual({ kind: "probe" });
  });

  it.each([
    ["two branches", `${pkt(`${OLD} ${TIP} refs/heads/a\0caps`)}${pkt(`${OLD} ${TIP} refs/heads/b`)}0000`],
    ["what is no command", `${pkt("shallow 1234")}0000`],
    ["no protocol", "hello, this is no git"],
    ["a line without an end", `fff0${"x".repeat(5_000)}`],
  ])("is refused where it is %s", (_, text) => {
    expect(readPushCommands(Buffer.from(text)).kind).toBe("refused");
  });
});
