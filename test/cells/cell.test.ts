import { expect, it } from "vitest";
import { includesRole, MOVES, ROLES, STATES, shortId, targetOf } from "../../src/cells/cell.ts";

it("has the moves of the contract and no other", () => {
  expect(MOVES).toEqual({
    proposed: ["active", "archived"],
    active: ["idle", "closing"],
    idle: ["active", "closing"],
    closing: ["archived", "idle"],
    archived: ["active", "destroyed"],
    destroyed: [],
  });
  expect(Object.keys(MOVES)).toEqual([...STATES]);
});

it("lets each role do all that lesser ones may, and nothing more", () => {
  const matrix = ROLES.map((role) => ROLES.map((needed) => includesRole(role, needed)));
  expect(matrix).toEqual([
    [true, false, false],
    [true, true, false],
    [true, true, true],
  ]);
});

it("names a cell by eight characters and its target by number", () => {
  expect(shortId("4f1c0b7e-1111-4222-8333-444455556666")).toBe("4f1c0b7e");
  expect(targetOf({ repository: { id: 7, fullName: "acme/app" }, number: 262 })).toBe("acme/app#262");
});
