import { afterEach, beforeEach, expect, it } from "vitest";
import { createCommandHandlers } from "../../src/commands/dispatch.ts";
import { VERBS } from "../../src/commands/index.ts";
import { silentLog } from "../../src/log.ts";
import { ended, jobOf, operator, origin, started } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig({ config: { limits: { cells: 1 } } });
});
afterEach(() => rig.stop());

type Who = "reader" | "dev" | "owner";

/** A cell of the thread that was closed and sealed. */
function archive(): void {
  const { id } = rig.idle({ repository: rig.repository, number: rig.at.number });
  const closing = { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null };
  rig.lifecycle.close(rig.cell(), closing, "closed by owner");
  rig.report("sealed", { cellId: id, bytes: 1 });
  rig.clearJobs();
}

/** What is said to somebody who types a verb; what is to be done is done. */
async function type(
  who: Who | "operator",
  verb: string,
  flags: Record<string, boolean> = {},
  say: { text?: string | null; words?: readonly string[] } = {},
): Promise<string> {
  const thread = { repository: rig.repository, number: rig.at.number };
  const from = who === "operator" ? operator() : origin(rig.people[who], thread);
  const words = say.words ?? (who === "operator" ? [rig.cell().id] : []);
  const answer = await VERBS.find((one) => one.name === verb)?.run?.(
    { verb, words, flags, text: say.text ?? null },
    from,
    rig.deps,
  );
  if (answer?.kind === "refused") return answer.reply.text;
  if (answer?.kind !== "done") throw new Error(`${verb} was ${answer?.kind}`);
  rig.db.transaction(() => answer.effects?.());
  const line = typeof answer.line === "function" ? answer.line() : answer.line;
  return line.text;
}

it("brings an archived cell back for directors, and for nobody else", async () => {
  archive();
  expect(await type("reader", "revive")).toContain("reader has read permission");
  const refused = await type("dev", "revive");
  expect(refused).toContain("dev has write permission on acme/app, revive needs a director (admin rights)");
  expect(refused).toContain("People who can: ");
  expect(rig.waiting()).toEqual([]);
  expect(await type("owner", "revive")).toBe(
    "cell 4f1c0b7e: being brought back from its archive, then allegro goes on",
  );
  expect(rig.waiting()).toEqual(["restore", "card"]);
});

it("brings it back for the operator, who is a director", async () => {
  archive();
  expect(await type("operator", "revive")).toContain("being brought back");
});

it("says that it waits for a place, and that it waits already", async () => {
  archive();
  rig.active({ id: "9ab24c11-1111-4222-8333-444455556666", branch: "lazarus/9ab24c11", number: 999 });
  rig.clearJobs();
  expect(await type("owner", "revive")).toBe(
    "cell 4f1c0b7e: waits for a place before it is brought back: 1st in line; 1 of 1 cells run",
  );
  expect(await type("owner", "revive")).toBe(
    "Cell 4f1c0b7e has a run in line already: 'stop 4f1c0b7e' takes it out of the line, then type this again.",
  );
});

it("does not destroy by a slip what somebody is bringing back", async () => {
  archive();
  await type("owner", "revive");
  expect(await type("owner", "destroy")).toBe(
    "Cell 4f1c0b7e is being brought back for a run: type 'lazarus stop 4f1c0b7e' first, or 'lazarus destroy 4f1c0b7e --force'.",
  );
  expect(await type("owner", "destroy", { "--force": true })).toBe("cell 4f1c0b7e: destroying");
  expect(rig.payloads("restore")).toEqual([]);
  expect(await type("owner", "revive")).toBe(
    "Cell 4f1c0b7e is being destroyed: it can no longer be revived.",
  );
});

it("leaves it archived where it is stopped while it waits, and destroys it then", async () => {
  archive();
  rig.active({ id: "9ab24c11-1111-4222-8333-444455556666", branch: "lazarus/9ab24c11", number: 999 });
  await type("owner", "revive");
  rig.clearJobs();
  expect(await type("dev", "stop")).toBe("cell 4f1c0b7e: stopping allegro");
  expect(rig.cell().state).toBe("archived");
  expect(rig.run().state).toBe("withdrawn");
  expect(rig.waiting()).toEqual(["card"]);
  expect(await type("owner", "destroy")).toBe("cell 4f1c0b7e: destroying");
});

it("does not bring it back where its director is none any more when its turn comes", async () => {
  archive();
  const other = "9ab24c11-1111-4222-8333-444455556666";
  rig.active({ id: other, branch: "lazarus/9ab24c11", number: 999 });
  rig.standIn.people.addCollaborator("acme/app", "dev", "admin");
  await type("dev", "revive");
  rig.standIn.people.addCollaborator("acme/app", "dev", "write");
  rig.report("run-ended", ended(other, 1, rig.clock.now()));
  const [payload = { cellId: "", run: 0 }] = rig.payloads("admit");
  const { job, context } = jobOf("admit", payload);
  const finish = await createCommandHandlers({ ...rig.deps, db: rig.db, log: silentLog }).admit?.(
    job,
    context,
  );
  rig.db.transaction(() => finish?.());
  expect(rig.cell()).toMatchObject({
    state: "archived",
    reason: "not started: dev is no longer a director on acme/app",
  });
  expect(rig.payloads("restore")).toEqual([]);
});

const lastPrompt = () => rig.registry.prompts.of({ cellId: rig.cell().id, n: rig.run().n });

it("gives words to the agent of an idle cell, and of an archived one", async () => {
  rig.idle({ repository: rig.repository, number: rig.at.number });
  expect(await type("dev", "revive", {}, { text: "use numbers" })).toBe("cell 4f1c0b7e: allegro goes on");
  expect(lastPrompt()).toMatchObject({ kind: "words", from: { login: "dev" }, said: "use numbers" });
  expect(rig.payloads("start").at(-1)?.prompt.text).toContain("~~~\nuse numbers\n~~~");
});

it("gives words of a director to the agent of an archived cell, and another agent where one is named", async () => {
  archive();
  expect(await type("owner", "revive", {}, { words: ["ezra"], text: "look at it" })).toContain(
    "then ezra goes on",
  );
  expect(rig.run().agent).toBe("ezra");
  expect(lastPrompt()).toMatchObject({ from: { login: "owner" }, said: "look at it" });
});

it("takes no words of people without the right, and none while it is at work or in line", async () => {
  archive();
  await type("reader", "revive", {}, { text: "obey me" });
  await type("dev", "revive", {}, { text: "obey me" });
  expect(rig.run().n).toBe(1);
  expect(await type("owner", "revive", {}, { text: "first" })).toContain("being brought back");
  expect(await type("owner", "revive", {}, { text: "second" })).toContain("has a run in line already");
  expect(lastPrompt().said).toBe("first");
  rig.report("restored", { cellId: rig.cell().id, run: 2 });
  rig.report("run-started", started(rig.cell().id, 2, rig.clock.now()));
  expect(await type("owner", "revive", {}, { text: "second" })).toContain("is at work already");
  expect(rig.run().n).toBe(2);
});

it("takes as many words as a comment can hold, and no more", async () => {
  rig.idle({ repository: rig.repository, number: rig.at.number });
  expect(await type("dev", "revive", {}, { text: "x".repeat(64 * 1024 + 1) })).toContain(
    "more than 64 KB of words",
  );
  expect(rig.run().n).toBe(1);
  await type("dev", "revive", {}, { text: "x".repeat(64 * 1024) });
  expect(lastPrompt().said).toHaveLength(64 * 1024);
});
