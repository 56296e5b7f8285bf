import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage, type Thread } from "./stage.ts";

/** What claude prints, as far as it tells what it used. */
const told = (costUsd: string, tokens: string) =>
  `printf '{"type":"result","subtype":"success","is_error":false,"result":"so far","total_cost_usd":%s,"usage":{"input_tokens":%s,"output_tokens":0}}\\n' ${costUsd} ${tokens}`;

const AGENTS = {
  /** Works, spends more than it has, and never ends by itself. */
  spender: `set -eu
echo "run $(git rev-list --count HEAD)" >> spent.txt
git add spent.txt
git commit --quiet -m "spend some"
echo "half done" > left.txt
${told("5.02", "1000")}
while :; do sleep 0.2; done`,

  /** Spends a little, and ends. */
  thrifty: `set -eu
cat "$LAZARUS_BRIEF" > "$LAZARUS_ARTIFACTS/prompt-$LAZARUS_TURN.md"
echo "run $(git rev-list --count HEAD)" >> made.txt
git add made.txt
git commit --quiet -m "made something"
${told("0.6", "400")}`,

  silent: "echo nothing to tell; echo x > silent.txt; git add silent.txt; git commit --quiet -m silent",
};

let stage: Stage;
const summon = async (agent: string): Promise<{ issue: Thread; cellId: string }> => {
  const issue = await stage.openIssue(`A task for ${agent}`);
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  return { issue, cellId: await stage.cellId(issue) };
};

describe("a budget of the cell", () => {
  beforeAll(async () => {
    stage = await Stage.set({ agents: AGENTS, limits: { cost: 5 }, pit: { scan: "1s" } });
  });
  afterAll(() => stage?.strike());

  it("stops the run and keeps its work; a director gives more, and what waited goes on", async () => {
    const { issue, cellId } = await summon("spender");
    await stage.card(
      issue,
      /spender stopped\*\* \(over its budget of 5 USD for the cell after .*→ draft #\d+/,
    );
    const card = await stage.card(issue, "5.02 of 5 USD");
    expect(card).toContain(
      `It has used 5.02 of 5 USD. Nothing more starts here until a director types \`/lazarus extend ${cellId.slice(0, 8)} --cost 5\`.`,
    );
    expect(await stage.reply(issue, "needs you")).toMatch(
      /^@dev: cell `.*` needs you: spender stopped \(over its budget of 5 USD for the cell after \d+ s\)\. It has used 5\.02 of 5 USD\./,
    );
    expect(await stage.status(cellId)).toMatchObject({
      state: "idle",
      exit: "over-limit",
      usage: { cost_usd: 5.02, tokens: 1000 },
    });

    const revive = await stage.type(stage.lead, issue, "/lazarus revive");
    await stage.reacted(issue, revive, "confused");
    expect(await stage.reply(issue, "rests: it has used 5.02 of 5 USD", 2)).toContain("--cost 5");

    const told = await stage.type(stage.dev, issue, "/lazarus tell --to thrifty go on more cheaply");
    await stage.card(issue, "1 message waits");
    const mine = await stage.type(stage.dev, issue, `/lazarus extend ${cellId.slice(0, 8)} --cost 2`);
    await stage.reacted(issue, mine, "confused");
    await stage.reply(issue, "needs a director (admin rights)", 3);

    const given = await stage.type(stage.lead, issue, `/lazarus extend ${cellId.slice(0, 8)} --cost 2`);
    expect(await stage.reacted(issue, given, "rocket")).toEqual(["eyes", "rocket"]);
    await stage.reacted(issue, told, "rocket");
    await stage.card(issue, /thrifty is done\*\*.*5\.62 of 7 USD/);
    const { stdout } = await stage.lazarus.cli("status", cellId);
    expect(stdout).toContain("usage    5.62 of 7 USD");
    expect(await stage.lazarus.readCell(cellId, "worktree/left.txt")).toBe("half done\n");
  });

  it("says where an agent tells nothing", async () => {
    const { issue } = await summon("silent");
    await stage.card(issue, /silent is done\*\*.* · usage: not told by this agent/);
  });

  it("survives a restart in the middle", async () => {
    const { issue, cellId } = await summon("thrifty");
    await stage.card(issue, "0.60 of 5 USD");
    await stage.lazarus.end("SIGKILL");
    await stage.lazarus.serve();
    expect(await stage.status(cellId)).toMatchObject({ usage: { cost_usd: 0.6, tokens: 400 } });
    const { stdout } = await stage.lazarus.cli("extend", cellId, "--cost", "1.50", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ id: cellId, more_usd: 1.5, more_tokens: 0 });
    await stage.card(issue, "0.60 of 6.50 USD");
    const refused = await stage.type(stage.lead, issue, "/lazarus extend --tokens 500");
    await stage.reacted(issue, refused, "confused");
    await stage.reply(issue, "has no budget of tokens that could be raised (limits.tokens is 0)");
  });
});

describe("a budget of a run, and the turns of a cell", () => {
  beforeAll(async () => {
    stage = await Stage.set({
      agents: AGENTS,
      agentMore: { limits: { tokens: 900 } },
      limits: { turns: 2 },
      pit: { scan: "1s" },
    });
  });
  afterAll(() => stage?.strike());

  it("stops a run over its own budget; who wants it to go on gets another one", async () => {
    const { issue } = await summon("spender");
    await stage.card(issue, /spender stopped\*\* \(over its budget of 900 tokens for a run/);
    await stage.card(issue, "1,000 of 900 tokens in this run");
    await stage.type(stage.dev, issue, "/lazarus revive thrifty");
    await stage.card(issue, /thrifty is done\*\*.*400 of 900 tokens in this run/);
  });

  it("rests after its turns until a director revives it", async () => {
    const { issue, cellId } = await summon("thrifty");
    await stage.card(issue, "thrifty is done");
    await stage.type(stage.dev, issue, "/lazarus tell a second turn");
    await stage.card(issue, "It has had all of its 2 turns");
    const third = await stage.type(stage.dev, issue, "/lazarus tell a third turn");
    await stage.card(issue, "1 message waits");
    await stage.reply(issue, /needs you: thrifty rests\. It has had all of its 2 turns\./);
    const mine = await stage.type(stage.dev, issue, "/lazarus revive");
    await stage.reacted(issue, mine, "confused");
    await stage.reply(issue, "A director lets it go on with `/lazarus revive", 2);
    await stage.type(stage.lead, issue, "/lazarus revive");
    await stage.reacted(issue, third, "rocket");
    await stage.card(issue, "thrifty is done");
    const { turns } = (await stage.status(cellId)) as { turns: { kind: string }[] };
    expect(turns.map((turn) => turn.kind)).toEqual(["first", "tell", "revive"]);
    expect(await stage.lazarus.readCell(cellId, "artifacts/prompt-3.md")).toContain("a third turn");
  });
});
