import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSeenEntries } from "../../src/webhooks/seen-entries.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());
const open = (...patterns: string[]) => createSeenEntries(rig.db, { clock: rig.clock, patterns });

describe("what was handled", () => {
  it("is marked once, and a review is no comment of the same id", () => {
    const handled = open("acme/*");
    expect([handled.mark(7, "comment", 5), handled.mark(7, "comment", 5)]).toEqual([true, false]);
    expect([handled.mark(7, "review", 5), handled.mark(8, "comment", 5)]).toEqual([true, true]);
  });

  it("is not marked by a transaction that is rolled back", () => {
    const handled = open("acme/*");
    expect(() =>
      rig.db.transaction(() => {
        handled.mark(7, "comment", 5);
        throw new Error("half-way");
      }),
    ).toThrow("half-way");
    expect(handled.mark(7, "comment", 5)).toBe(true);
  });

  it("remembers the newest time of a thread and never an older one", () => {
    const handled = open("acme/*");
    expect(handled.readUntil(7, 1)).toBe(0);
    handled.rememberReadUntil(7, 1, 50);
    handled.rememberReadUntil(7, 1, 20);
    expect([handled.readUntil(7, 1), handled.readUntil(7, 2)]).toEqual([50, 0]);
  });
});

describe("what is served", () => {
  it("is so since the first start with its pattern, whatever comes later", () => {
    open("acme/*").serve(["acme/*"], 100);
    const later = open("acme/*", "dev/app");
    later.serve(["acme/*", "dev/app"], 200);
    expect(later.servedSince("acme/app")).toBe(100);
    expect(later.servedSince("ACME/App")).toBe(100);
    expect(later.servedSince("dev/app")).toBe(200);
  });

  it("counts from its return where a pattern was away, and goes on where another took its place", () => {
    open("acme/app").serve(["acme/app"], 100);
    open("acme/*").serve(["acme/*"], 200);
    expect(["acme/app", "acme/other"].map((name) => open("acme/*").servedSince(name))).toEqual([100, 200]);
    open("dev/*").serve(["dev/*"], 300);
    expect(() => open("dev/*").servedSince("acme/app")).toThrow("has not answered");
    open("acme/*").serve(["acme/*"], 400);
    open("acme/*").serve(["acme/*"], 500);
    expect(["acme/app", "acme/other"].map((name) => open("acme/*").servedSince(name))).toEqual([400, 400]);
  });

  it("is not taken from patterns that are no longer configured", () => {
    open("acme/*", "acme/app").serve(["acme/*", "acme/app"], 100);
    expect(() => open("dev/*").servedSince("acme/app")).toThrow(
      expect.objectContaining({ code: "forge-unreachable" }),
    );
  });

  it("goes back with the forge's clock", () => {
    const handled = open("acme/*");
    handled.serve(["acme/*"], 1_000);
    handled.rememberReadUntil(7, 1, 900);
    handled.rememberReadUntil(7, 2, 300);
    handled.rewind(500);
    expect([handled.servedSince("acme/app"), handled.readUntil(7, 1), handled.readUntil(7, 2)]).toEqual([
      500, 500, 300,
    ]);
  });

  it("is unknown until the forge has told its clock", () => {
    expect(() => open("acme/*").servedSince("acme/app")).toThrow(
      expect.objectContaining({ code: "forge-unreachable", retryable: true }),
    );
  });
});
