import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { NewCell } from "../../../src/cells/registry/cell-row.ts";
import { GRAMMAR, verbNamed } from "../../../src/commands/index.ts";
import { parseCommands } from "../../../src/commands/parsing/parse.ts";
import { ID, origin, TIP } from "../../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../../fakes/forge-rig.ts";

const OTHER = "9ab24c11-1111-4222-8333-444455556666";
const THIRD = "77d0e9aa-1111-4222-8333-444455556666";
const DRAFT = 271;

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

const here = (more: Partial<NewCell> = {}): Partial<NewCell> => ({
  repository: rig.repository,
  number: 1,
  mergeInto: { repository: "acme/app", branch: "main" },
  ...more,
});
function drafted(more: Partial<NewCell> = {}): void {
  const { id } = rig.idle(here(more));
  rig.report("pushed", { cellId: id, run: 1, tip: TIP, branch: "b", divertedFrom: null });
  rig.reports.drafted(id, DRAFT, "acme/app");
}
async function type(line: string, at = { who: "owner" as "owner" | "nobody", number: 1 }) {
  const [command] = parseCommands(`/lazarus ${line}`, GRAMMAR);
  if (command?.kind !== "command") throw new Error(`no command: ${line}`);
  const who = at.who === "owner" ? rig.people.owner : rig.standIn.people.createUser("nobody");
  const person = origin(who, { repository: rig.repository, number: at.number });
  const answer = await verbNamed(command.verb)?.run?.(command, person, rig.deps);
  return answer?.kind === "refused" ? answer.reply.text : (answer?.kind ?? "nothing");
}
const onDraft = { who: "owner", number: DRAFT } as const;

it("knows the cell on its draft's thread, whatever the draft proposes to type there", async () => {
  drafted();
  for (const line of ["revive", "close", "logs", "status", "why", "extend 4h"]) {
    expect(await type(line, onDraft)).toMatch(/done|later/);
    expect(await type(line, { who: "owner", number: DRAFT + 1 })).toBe("There is no cell on this thread.");
  }
});

it("finds a cell by its id where its draft stands in a fork", async () => {
  rig.idle(here({ repository: { id: 99, fullName: "dev/app" } }));
  rig.reports.drafted(ID, DRAFT, "acme/app");
  expect(await type(`stop ${ID.slice(0, 8)}`, { who: "owner", number: DRAFT + 1 })).toContain(
    "There is no cell",
  );
  expect(await type(`stop ${ID.slice(0, 8)}`, onDraft)).not.toContain("4f1c0b7e has no run");
});

it("takes of several cells the only one that the verb fits", async () => {
  rig.active(here());
  drafted({ id: OTHER, agent: "ezra" });
  expect(await type("stop")).toBe("done");
  expect(await type("revive")).toBe("done");
  rig.create(here({ id: THIRD, waitsForApproval: true, approval: "it is to be approved" }));
  expect(await type("approve")).toBe("done");
  expect(await type("publish")).toContain("Which cell?");
});

it("says of several cells which there are, and how they are", async () => {
  rig.active(here());
  rig.active(here({ id: OTHER, agent: "ezra" }));
  expect(await type("extend 4h")).toBe(
    "Which cell? There is:\n- 4f1c0b7e: allegro, active\n- 9ab24c11: ezra, active\n\n" +
      "Type its id, as in 'lazarus extend 4f1c0b7e 4h'.",
  );
});

it("never guesses which cell is to be destroyed", async () => {
  rig.active(here());
  rig.active(here({ id: OTHER }));
  rig.create(here({ id: THIRD }));
  rig.lifecycle.withdraw(rig.cell(THIRD), rig.run(THIRD), { who: "dev", why: "gone", outcome: "discarded" });
  expect(await type("destroy")).toContain("Which cell?");
});

it("lists no cell to somebody who may not read their repository", async () => {
  rig.active(here());
  rig.active(here({ id: OTHER }));
  expect(await type("extend 4h", { who: "nobody", number: 1 })).toBe("There is no cell on this thread.");
});

it("hints at nothing that leaves out which cell is meant", () => {
  const dir = resolve(import.meta.dirname, "../../golden");
  const texts = readdirSync(dir).filter((name) => /^(card|pull-request|needs-you|closing)/.test(name));
  const hints = texts.flatMap((name) =>
    Array.from(
      readFileSync(join(dir, name), "utf8").matchAll(/`\/lazarus ([^`]+)`/g),
      ([, typed = ""]) => typed,
    ),
  );
  expect(hints.length).toBeGreaterThan(100);
  const bare = hints.filter((typed) => !/^(summon|help)\b/.test(typed) && !/^\w+ [0-9a-f]{8}\b/.test(typed));
  expect(bare).toEqual([]);
});
