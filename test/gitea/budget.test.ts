import { beforeEach, expect, it } from "vitest";
import { type Budget, type CallKind, createBudget } from "../../src/gitea/budget.ts";
import { createFakeClock, type FakeClock, settle } from "../fakes/clock.ts";

let clock: FakeClock;
let budget: Budget;
let begun: string[];
let done: Map<string, () => void>;

beforeEach(() => {
  clock = createFakeClock();
  budget = createBudget(clock);
  begun = [];
  done = new Map();
});

function ask(kind: CallKind, name: string): void {
  budget.take(kind, name).then(
    (release) => {
      begun.push(name);
      done.set(name, release);
    },
    (error: Error) => begun.push(`${name}: ${error.message}`),
  );
}
async function end(...names: string[]): Promise<void> {
  for (const name of names) done.get(name)?.();
  await settle();
}

it("lets four writes go at once, answers before cards, and keeps a place free of cards", async () => {
  for (const name of ["c1", "c2", "c3", "c4"]) ask("card", name);
  await settle();
  expect(begun).toEqual(["c1", "c2", "c3"]);
  for (const name of ["a1", "a2"]) ask("answer", name);
  await settle();
  expect(begun.slice(3)).toEqual(["a1"]);
  await end("c1");
  expect(begun.slice(4)).toEqual(["a2"]);
  await end("c2");
  expect(begun.slice(5)).toEqual(["c4"]);
});

it("counts each end once, and never holds up a question", async () => {
  for (let n = 0; n < 8; n++) ask("answer", `a${n}`);
  for (let n = 0; n < 20; n++) ask("read", `r${n}`);
  await settle();
  expect(begun.filter((one) => one.startsWith("a"))).toHaveLength(4);
  expect(begun.filter((one) => one.startsWith("r"))).toHaveLength(20);
  await end("a0", "a0", "a0");
  expect(begun.filter((one) => one.startsWith("a"))).toHaveLength(5);
});

it("waits with every call of a kind for as long as the forge asks, and with no other", async () => {
  budget.pause("card", 2_000);
  ask("answer", "a");
  ask("card", "c");
  ask("read", "r");
  await settle();
  expect(begun).toEqual(["r"]);
  await clock.advance(1_999);
  expect(begun).toEqual(["r"]);
  await clock.advance(1);
  expect(begun).toEqual(["r", "a", "c"]);
  budget.pause("read", 1_000);
  ask("read", "r2");
  ask("answer", "a2");
  await settle();
  expect(begun.slice(3)).toEqual(["a2"]);
  await clock.advance(1_000);
  expect(begun.slice(4)).toEqual(["r2"]);
});

it("goes on where a pause became longer meanwhile", async () => {
  budget.pause("answer", 1_000);
  ask("answer", "a");
  await clock.advance(500);
  budget.pause("answer", 5_000);
  await clock.advance(4_999);
  expect(begun).toEqual([]);
  await clock.advance(1);
  expect(begun).toEqual(["a"]);
});

it("leaves a call to whoever tries it again where the forge asks for long", async () => {
  budget.pause("answer", 3_600_000);
  ask("answer", "commenting on acme/app#3");
  await settle();
  expect(begun).toEqual([
    "commenting on acme/app#3: commenting on acme/app#3: the forge asked to be left alone for 300 s more (429)",
  ]);
  await clock.advance(300_000);
  ask("answer", "again");
  await settle();
  expect(begun.at(-1)).toBe("again");
});
