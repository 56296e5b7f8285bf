import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHandled } from "../../src/webhooks/handled.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());
const open = (...patterns: string[]) => createHandled(rig.db, { clock: rig.clock, patterns });

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

  it("is unknown until the forge has told its clock", () => {
    expect(() => open("acme/*").servedSince("acme/app")).toThrow(
      expect.objectContaining({ code: "forge-unreachable", retryable: true }),
    );
  });
});
