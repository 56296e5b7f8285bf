import { afterEach, beforeEach, expect, it } from "vitest";
import { lineOf } from "../../../src/commands/posting/answer.ts";
import { why } from "../../../src/commands/why.ts";
import { viewOf } from "../../../src/commands/words/cell-view.ts";
import { refusedHosts } from "../../../src/commands/words/refused-hosts.ts";
import { type ControlRig, createControl, ended, ID } from "../../fakes/control-rig.ts";

let rig: ControlRig;
beforeEach(() => {
  rig = createControl();
});
afterEach(() => rig.remove());

const hosts = (count: number) => Array.from({ length: count }, (_, n) => `h${n}.example:443`);

it("says each host once, at most ten of them, and what decides", () => {
  const said = refusedHosts({ agent: "allegro", refusedHosts: [...hosts(12), ...hosts(12)] });
  expect(said?.text).toBe(
    `allegro asked for ${hosts(10).join(", ")} and 2 more, refused. An operator lists in agents.allegro.network what it may reach.`,
  );
  expect(refusedHosts({ agent: "allegro", refusedHosts: [] })).toBeNull();
});

it("cuts a name that is too long, and keeps a terminal's line", () => {
  const said = refusedHosts({ agent: "allegro", refusedHosts: [`${"a".repeat(200)}:443`, "x\u001b[2J\n:1"] });
  expect(said?.text).toContain(` ${"a".repeat(99)}…, `);
  expect(said?.text).toContain(" x?[2J?:1, refused");
});

it("stands in why, and for programs in status", async () => {
  rig.active();
  rig.report("run-ended", ended(ID, 1, rig.clock.now(), { refusedHosts: hosts(2) }));
  expect(viewOf(rig.cell(), rig).refused_hosts).toEqual(hosts(2));
  const answer = await why.run?.(
    { verb: "why", words: [ID], flags: {}, rest: null } as never,
    { isOperator: true, thread: null, person: { id: null, login: "operator" } } as never,
    rig.deps,
  );
  expect(answer?.kind === "done" && lineOf(answer).text).toContain(
    "allegro asked for h0.example:443, h1.example:443, refused.",
  );
});
