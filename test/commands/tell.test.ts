import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createCommandHandlers } from "../../src/commands/dispatch.ts";
import { GRAMMAR, VERBS } from "../../src/commands/index.ts";
import { parseCommands } from "../../src/commands/parsing/parse.ts";
import { MOST_MESSAGE_BYTES, MOST_WAITING } from "../../src/commands/tell.ts";
import { cardContent } from "../../src/commands/words/card.ts";
import { viewOf } from "../../src/commands/words/cell-view.ts";
import { silentLog } from "../../src/log.ts";
import { ended, harvest, ID, jobOf, operator, origin } from "../fakes/control-rig.ts";
import { createForgeRig, type ForgeRig } from "../fakes/forge-rig.ts";

let rig: ForgeRig;
beforeEach(async () => {
  rig = await createForgeRig();
});
afterEach(() => rig.stop());

type Who = "reader" | "dev" | "owner" | "stranger";

/** What is answered to a line on the thread; what is to be done is done. */
async function type(who: Who, line: string): Promise<string> {
  const commentId = await rig.standIn.people.comment(who, rig.at, line);
  const [command] = parseCommands(line, GRAMMAR);
  if (command?.kind !== "command") throw new Error(`no command: ${line}`);
  const from = origin(rig.people[who], here(), { commentId });
  const asker = { ...from.asker, sourceId: commentId } as typeof from.asker;
  return answer(command, { ...from, asker });
}

/** The same in a terminal. */
function typeInTerminal(words: string[], text: string | null, flags = {}): Promise<string> {
  return answer({ verb: "tell", words, flags, text }, operator());
}

async function answer(
  command: {
    verb: string;
    words: readonly string[];
    flags: Record<string, string | boolean>;
    text: string | null;
  },
  from: ReturnType<typeof operator>,
): Promise<string> {
  const said = await VERBS.find((one) => one.name === command.verb)?.run?.(command, from, rig.deps);
  if (said?.kind === "refused") return said.reply.text;
  if (said?.kind !== "done") throw new Error(`${command.verb} was ${said?.kind}`);
  rig.db.transaction(() => said.effects?.());
  return (typeof said.line === "function" ? said.line() : said.line).text;
}

const here = () => ({ repository: rig.repository, number: rig.at.number });
const messages = () => rig.registry.messages.of(ID);
const said = () => messages().map((one) => one.said);

describe("tell", () => {
  it("says words to the only cell here, as they are, over several lines", async () => {
    rig.idle(here());
    expect(await type("dev", '/lazarus tell use "numbers" --now\n\n- and tests')).toBe(
      "cell 4f1c0b7e: allegro goes on",
    );
    expect(said()).toEqual(['use "numbers" --now\n\n- and tests']);
  });

  it.each([
    ["/lazarus tell 4f1c --now --to ezra stop that", "stop that", "ezra"],
    ["/lazarus tell --to=EZRA 4f1c0b7e stop that", "stop that", "ezra"],
    ["/lazarus tell --now --to ezra stop that", "stop that", "ezra"],
    ["/lazarus tell 4f1c -- --to nobody", "--to nobody", null],
    ["/lazarus tell cafe is closed", "cafe is closed", null],
    ["/lazarus tell 4f1c", "", null],
  ])("reads %s", async (line, words, agent) => {
    rig.active(here());
    const line1 = await type("dev", line);
    if (words === "")
      expect(line1).toBe(
        "What is the agent to be told? Type it behind the command: 'lazarus tell 4f1c0b7e keep the old tests'.",
      );
    else expect(messages()).toMatchObject([{ said: words, agent }]);
    expect(rig.payloads("stop")).toHaveLength(line.includes("--now") ? 1 : 0);
  });

  it.each([
    ["/lazarus tell --to", "missing-value", "--to"],
    ["/lazarus tell --now --now x", "repeated-flag", "--now"],
    ["/lazarus tell --now=yes x", "unexpected-value", "--now=yes"],
  ])("does not read %s", (line, code, typed) => {
    expect(parseCommands(line, GRAMMAR)).toMatchObject([{ kind: "problem", problem: { code, typed } }]);
  });

  it("names a flag behind the CELL that it cannot read", async () => {
    rig.active(here());
    expect(await type("dev", "/lazarus tell 4f1c --to")).toBe("--to needs a value.");
  });

  it("is for executors, who may be told so", async () => {
    rig.active(here());
    expect(await type("reader", "/lazarus tell 4f1c x")).toContain("reader has read permission");
    expect(messages()).toEqual([]);
  });

  it("names what is wrong with the words", async () => {
    rig.active(here());
    expect(await type("dev", "/lazarus tell --to alegro x")).toContain("Did you mean allegro?");
    expect(await type("dev", `/lazarus tell ${"x".repeat(MOST_MESSAGE_BYTES)}`)).toContain(
      "allegro's next turn",
    );
    expect(await type("dev", `/lazarus tell ${"x".repeat(MOST_MESSAGE_BYTES + 1)}`)).toContain("16 KB");
    expect(await type("dev", "/lazarus tell 4f1c0b7e   \u200b \t ")).toContain(
      "What is the agent to be told?",
    );
    expect(await type("dev", "/lazarus tell <!-- obey -->")).toContain("What is the agent to be told?");
    expect(await type("dev", `/lazarus tell the token is ${rig.config.forge.token}`)).toContain(
      "holds a secret that I know",
    );
    for (let n = messages().length; n < MOST_WAITING; n++) await typeInTerminal([ID], `word ${n}`, {});
    expect(await type("dev", "/lazarus tell one more")).toContain("50 messages wait");
  });

  it("says of a cell that is archived, or closing, what else there is", async () => {
    const closing = { by: "owner", discard: true, thenDestroy: false, outcome: null, person: null };
    rig.idle(here());
    rig.lifecycle.close(rig.cell(), closing, "closed by owner");
    expect(await type("dev", "/lazarus tell 4f1c x")).toContain("is being closed, or was");
    rig.report("sealed", { cellId: ID, bytes: 1 });
    expect(await type("dev", "/lazarus tell 4f1c x")).toContain("revive 4f1c0b7e -- words");
    expect(messages()).toEqual([]);
  });

  it("is on the card and in --json while it waits, and after", async () => {
    rig.active(here());
    await type("dev", "/lazarus tell use numbers");
    await type("owner", "/lazarus tell --to ezra look at it");
    await rig.clock.advance(120_000);
    expect(cardContent(rig.cell(), rig.deps).text).toContain(
      "2 messages wait for allegro and ezra's next turn: dev and owner, 14:02 UTC. Deleting the comment takes it back; edits are not read.",
    );
    expect(viewOf(rig.cell(), rig)).toMatchObject({
      messages: [
        { id: 1, from: "dev", state: "waiting", for: null, run: null },
        { id: 2, from: "owner", state: "waiting", for: "ezra", run: null },
      ],
      turns: [{ n: 1, agent: "allegro", kind: "first", state: "working", end: null, runs: [1] }],
    });
  });

  it("can be taken back in a terminal, once, by its author or the operator", async () => {
    rig.active(here());
    expect(await typeInTerminal([ID], "use numbers")).toContain("waits for allegro's next turn");
    expect(cardContent(rig.cell(), rig.deps).text).toContain(
      "`/lazarus tell 4f1c0b7e --retract 1` takes it back. Edits are not read.",
    );
    expect(await typeInTerminal([ID], null, { "--retract": "9" })).toContain("has no message 9");
    expect(await type("dev", "/lazarus tell 4f1c --retract 1")).toContain(
      "only operator root can take it back",
    );
    expect(await typeInTerminal([ID], null, { "--retract": "1" })).toBe(
      "cell 4f1c0b7e: message 1 is retracted",
    );
    expect(await typeInTerminal([ID], null, { "--retract": "1" })).toContain("is retracted already");
  });
});

describe("before a turn begins", () => {
  const handlers = () => createCommandHandlers({ ...rig.deps, db: rig.db, log: silentLog });
  /** Two people told it something while it worked; its run has ended, and the next has its place. */
  async function line(): Promise<void> {
    rig.active(here());
    await type("owner", "/lazarus tell from owner");
    await type("dev", "/lazarus tell from dev");
    rig.report("run-ended", ended(ID, 1, rig.clock.now()));
    rig.report("collected", { cellId: ID, run: 1, harvest: harvest() });
  }
  async function admit(): Promise<void> {
    const run = rig.run();
    const { job, context } = jobOf("admit", { cellId: ID, run: run.n });
    const finish = await handlers().admit?.(job, context);
    rig.db.transaction(() => finish?.());
  }

  it("everybody is asked about again, and every comment looked for", async () => {
    await line();
    await rig.standIn.people.deleteComment("owner", sourceOf("from owner"));
    await admit();
    expect(messages()).toMatchObject([
      { state: "retracted", why: "its comment was deleted" },
      { state: "given", run: 2 },
    ]);
    expect(rig.run().state).toBe("admitted");
  });

  it("what others said does not wait for one who lost the right", async () => {
    await line();
    expect(rig.run().requester.login).toBe("dev");
    rig.standIn.people.addCollaborator("acme/app", "dev", "read");
    await admit();
    expect(messages()).toMatchObject([
      { state: "waiting" },
      { state: "dropped", why: "dev no longer has write permission on acme/app" },
    ]);
    expect(rig.run()).toMatchObject({ n: 3, state: "admitted", requester: { login: "owner" } });
    await admit();
    expect(messages()).toMatchObject([{ state: "given", run: 3 }, { state: "dropped" }]);
  });

  it("nothing begins where nothing is left", async () => {
    await line();
    for (const { said: words } of messages())
      await rig.standIn.people.deleteComment("owner", sourceOf(words));
    await admit();
    expect(rig.run()).toMatchObject({ n: 2, state: "withdrawn" });
    expect(rig.cell().state).toBe("idle");
  });

  function sourceOf(words: string): number {
    const asker = messages().find((one) => one.said === words)?.asker;
    return asker?.via === "forge" ? asker.sourceId : 0;
  }
});
