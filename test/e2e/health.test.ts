import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { Stage, seen, type Thread } from "./stage.ts";

const UNTIL_GO = 'until [ -e "$LAZARUS_ARTIFACTS/go" ]; do';
const AGENTS = {
  silent: `echo "I begin"; ${UNTIL_GO} sleep 0.1; done`,

  /** Says that it lives by HTTP, and shows its token wherever it can. */
  caller: `env > "$LAZARUS_ARTIFACTS/env.txt"
echo "my token is $LAZARUS_HEARTBEAT_TOKEN"
${UNTIL_GO}
  node -e 'fetch(process.env.LAZARUS_HEARTBEAT_URL, {method: "POST", headers: {authorization: "Bearer " + process.env.LAZARUS_HEARTBEAT_TOKEN}, body: JSON.stringify({state: "calling", message: "@dev fixes #1 " + process.env.LAZARUS_HEARTBEAT_TOKEN, progress: 0.25})}).then((answer) => console.error(answer.status))' 2>> "$LAZARUS_ARTIFACTS/answers.txt"
  sleep 1
done`,

  /** Says so by a file, where there is no network. */
  writer: `${UNTIL_GO}
  echo '{"state": "writing", "message": "chapter three"}' > "$LAZARUS_ARTIFACTS/.beat"
  mv "$LAZARUS_ARTIFACTS/.beat" "$LAZARUS_ARTIFACTS/heartbeat.json"
  sleep 0.5
done`,

  looper: `${UNTIL_GO}
  for n in 1 2 3 4 5 6 7 8 9 10; do echo "the model is overloaded, trying again"; done
  sleep 0.1
done`,
};

let stage: Stage;
const issues = new Map<string, Thread>();
const ids = new Map<string, string>();

beforeAll(async () => {
  stage = await Stage.set({
    agents: AGENTS,
    pit: { scan: "1s", quiet: "3s", stalled: "6s" },
    limits: { cells: 8, per_repository: 8, per_person: 8 },
  });
  for (const agent of Object.keys(AGENTS)) {
    const issue = await stage.openIssue(`Let ${agent} work`);
    await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
    issues.set(agent, issue);
  }
  for (const [agent, issue] of issues) ids.set(agent, await stage.cellId(issue));
});
afterAll(() => stage?.strike());

const issueOf = (agent: string) => issues.get(agent) as Thread;
const idOf = (agent: string) => ids.get(agent) ?? "";
const health = async (agent: string, fits: RegExp) =>
  seen(`the health of ${agent}`, async () => JSON.stringify(await stage.status(idOf(agent))), fits);
const postBeat = (cell: string, token: string) =>
  fetch(`${stage.lazarus.url}/cells/${cell}/heartbeat`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: '{"state": "stolen"}',
  });
const tokenOf = async (agent: string) => {
  const env = await stage.lazarus.readCell(idOf(agent), "artifacts/env.txt");
  return /LAZARUS_HEARTBEAT_TOKEN=(.*)/.exec(env)?.[1] ?? "";
};

describe("health", () => {
  it("of an agent that falls silent is on the card, in the table and in JSON, with the reason", async () => {
    const silent = "no output, no change, process alive";
    await stage.card(
      issueOf("silent"),
      new RegExp(`silent is stalled since \\d\\d:\\d\\d UTC\\*\\*: ${silent}`),
    );
    await health("silent", /"health":"stalled","reason":"no output, no change, process alive"/);
    const table = await stage.lazarus.cli("status");
    expect(table.stdout).toMatch(/active {2}silent .* stalled \d+s: silent /);
    const why = await stage.lazarus.cli("why", idOf("silent"));
    expect(why.stdout).toMatch(/It is stalled since .*: no output, no change, process alive\. Its last sign/);
    const comments = await stage.comments(issueOf("silent"));
    expect(comments.filter((one) => one.author === stage.bot.login)).toHaveLength(1);
    expect(comments.map((one) => one.body).join()).not.toContain("@dev");
  });

  it("of one that sends heartbeats by a file is good, and its words are on the card", async () => {
    await health("writer", /"heartbeat":\{.*"state":"writing","message":"chapter three".*"by":"file"/);
    await until("the card says so", async () =>
      /writer says: writing, chapter three/.test((await stage.cards(issueOf("writer")))[0]?.body ?? ""),
    );
    expect(await stage.status(idOf("writer"))).toMatchObject({ health: "healthy" });
    // The last heartbeat: the agent's own, or the runner's with what the agent said beside it.
    const file = JSON.parse(await stage.lazarus.readCell(idOf("writer"), "state/heartbeat.json"));
    expect(file.agent ?? file).toMatchObject({ by: "file", state: "writing", message: "chapter three" });
  });

  it("of one that sends heartbeats by HTTP is good, and its words do nothing and show no secret", async () => {
    await health("caller", /"heartbeat":\{.*"state":"calling".*"progress":0.25.*"by":"agent"/);
    let card = "";
    await until("the card says so", async () => {
      card = (await stage.cards(issueOf("caller")))[0]?.body ?? "";
      return card.includes("caller says: calling");
    });
    expect(card).toMatch(
      /\*\*caller is working\*\*[\s\S]*caller says: calling, \\@dev fixes {1,2}\\#1 \\?\[redacted\\?\], 25 %/,
    );
    expect(await stage.status(idOf("caller"))).toMatchObject({ health: "healthy" });
    expect(await stage.lazarus.readCell(idOf("caller"), "artifacts/answers.txt")).toMatch(/^(202\n)+/);
    const token = await tokenOf("caller");
    await stage.type(stage.dev, issueOf("caller"), "/lazarus logs");
    const log = await stage.reply(issueOf("caller"), "my token is");
    expect(log).toContain("my token is [redacted]");
    const everything = [
      log,
      card,
      stage.lazarus.log,
      await stage.lazarus.readCell(idOf("caller"), "state/heartbeat.json"),
      JSON.stringify(await stage.status(idOf("caller"))),
      (await stage.lazarus.cli("logs", idOf("caller"))).stdout,
    ];
    expect(token).toMatch(/^lazarus-beat-[0-9a-f]{64}$/);
    for (const text of everything) expect(text).not.toContain(token);
  });

  it("is not told by somebody else's token, nor by a replay at another cell", async () => {
    const token = await tokenOf("caller");
    for (const [cell, given] of [
      [idOf("silent"), token],
      [idOf("caller"), `${token.slice(0, -1)}x`],
      ["00000000-1111-4222-8333-444455556666", token],
    ] as const) {
      const answer = await postBeat(cell, given);
      expect([answer.status, await answer.text()]).toEqual([
        401,
        '{"error":"the token is missing or wrong"}',
      ]);
    }
    expect(JSON.stringify(await stage.status(idOf("silent")))).not.toContain("stolen");
  });

  it("of one that repeats itself says so", async () => {
    await stage.card(
      issueOf("looper"),
      /looper is looping since \d\d:\d\d UTC\*\*: the same output again and again: the model is overloaded, trying again/,
    );
  });

  it("goes on after a kill, since when it was", async () => {
    const before = await stage.status(idOf("silent"));
    await stage.lazarus.end("SIGKILL");
    await stage.lazarus.serve();
    await health("writer", /"health":"healthy"/);
    const after = await stage.status(idOf("silent"));
    expect(after).toMatchObject({ health: "stalled", health_reason: before.health_reason });
    const moved = Date.parse(String(after.health_since)) - Date.parse(String(before.health_since));
    expect(Math.abs(moved)).toBeLessThan(2_000);
    // The token of an agent that outlived us is as good as before.
    await until("its heartbeats are taken again", async () => {
      const answers = await stage.lazarus.readCell(idOf("caller"), "artifacts/answers.txt");
      return /202\n202\n$/.test(answers);
    });
    const answer = await postBeat(idOf("caller"), await tokenOf("caller"));
    expect([202, 429]).toContain(answer.status);
  });

  it("is gone with the run", async () => {
    await writeFile(join(stage.lazarus.missionsDir, idOf("caller"), "artifacts", "go"), "");
    await stage.card(issueOf("caller"), /caller (changed nothing|is done)/);
    expect(await stage.status(idOf("caller"))).toMatchObject({
      health: null,
      health_reason: null,
      heartbeat: null,
    });
    const answer = await postBeat(idOf("caller"), await tokenOf("caller"));
    expect([answer.status, await answer.text()]).toEqual([409, '{"error":"no run of this cell is at work"}']);
  });
});
