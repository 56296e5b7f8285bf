import { expect, it } from "vitest";
import { collectStart } from "../../src/cli/collect-start.ts";
import { until } from "../fakes/until.ts";

it("frees what nothing uses any more, in a process that allocates nothing", async () => {
  const left = (() => new WeakRef({ of: "a start" }))();
  collectStart();
  await until("it is collected", () => left.deref() === undefined);
  expect(left.deref()).toBeUndefined();
});
