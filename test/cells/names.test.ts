import { expect, it } from "vitest";
import { sessionIdOf } from "../../src/cells/names.ts";

it("names a session as a UUID that every agent takes, the same for one agent in one cell", () => {
  const cell = "d1300b7f-1111-4222-a333-444455556666";
  // What qwen 0.15 asks of --session-id: versions 1 to 5.
  expect(sessionIdOf(cell, "qwen")).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(sessionIdOf(cell, "qwen")).toBe(sessionIdOf(cell, "qwen"));
  expect(sessionIdOf(cell, "claude")).not.toBe(sessionIdOf(cell, "qwen"));
});
