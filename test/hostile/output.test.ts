import { lstat, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { attack, hostileStage, inState, stillWorks } from "./ground.ts";

const GIGABYTE = 1024 ** 3;
const MEGABYTE = 1024 ** 2;
/** One line of a megabyte at a time, then the end of the story. */
const FLOOD = `head -c ${GIGABYTE} /dev/zero | tr '\\0' 'x' | fold -w 1000000; echo; echo "the end of it"; exit 4`;

let stage: Stage;

beforeAll(async () => {
  stage = await hostileStage({
    brimming: FLOOD,
    tight: {
      script: "while :; do echo 'again and again and again and again'; done",
      config: { limits: { log: "1MB" } },
    },
    binary:
      "head -c 3000 /dev/urandom; printf '\\033[2J\\033]0;owned\\007\\033[31mred\\033[0m\\r\\n```\\n@dev fixes #1\\n<!-- lazarus:card:0 -->\\n'; exit 4",
  });
});

afterAll(() => stage?.strike());

afterEach(() => stillWorks(stage));

const logOf = (cellId: string, agent: string) =>
  join(stage.lazarus.missionsDir, cellId, "logs", `${agent}-1.log`);

async function asked(cellId: string): Promise<string> {
  const { stdout, code } = await stage.lazarus.cli("logs", cellId, "--tail", "5");
  expect(code).toBe(0);
  return stdout;
}

describe("an agent that prints a gigabyte", () => {
  it("fills no disk, and its end can be read at once, on card, by comment and by command line", async () => {
    const { card, cellId, issue } = await attack(stage, "brimming", "**brimming stopped**: exit 4");
    expect((await stat(logOf(cellId, "brimming"))).size).toBeLessThan(60 * MEGABYTE);
    expect(await stage.lazarus.readCell(cellId, "logs/brimming-1.log")).toMatch(
      /\[lazarus: \d+ bytes of output left out: the log was longer than its limit\]/,
    );
    expect(card).toMatch(/The end of its log[\s\S]*the end of it\n```/);
    expect(card.length).toBeLessThan(8_000);
    expect(await asked(cellId)).toContain("the end of it\n");
    await stage.type(stage.dev, issue, "/lazarus logs --tail 3");
    const said = await stage.reply(issue, "the end of it", 2);
    expect(said.length).toBeLessThan(65_000);
  });

  it("for ever, is held to a small limit while it runs, and the card says so", async () => {
    const { cellId, issue } = await attack(
      stage,
      "tight",
      /[Tt]he log of run 1 grew over its limit: \d+ bytes were cut out of its middle, the run goes on/,
    );
    await until("the log is short", async () => (await stat(logOf(cellId, "tight"))).size < 400_000);
    expect(await asked(cellId)).toContain("again and again");
    await stage.type(stage.dev, issue, "/lazarus logs");
    await stage.reply(issue, "again and again");
    await stage.type(stage.dev, issue, "/lazarus stop");
    expect(await stage.card(issue, "tight changed nothing")).toContain("stopped by dev");
    await inState(stage, cellId, "idle");
    expect((await lstat(logOf(cellId, "tight"))).size).toBeLessThan(2 * MEGABYTE);
  });
});

it("shows what is no text as text that does nothing", async () => {
  const { card, cellId, issue } = await attack(stage, "binary", "**binary stopped**: exit 4");
  await stage.type(stage.dev, issue, "/lazarus logs --tail 4");
  const said = await stage.reply(issue, "red", 2);
  for (const shown of [card.split("\n").slice(1).join("\n"), said, await asked(cellId)]) {
    expect(shown).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
  }
  for (const shown of [card.split("\n").slice(1).join("\n"), said]) {
    expect(shown).not.toContain("<!--");
    expect(shown).not.toMatch(/fixes #1\b/);
    expect(shown).toMatch(/\n````+\n/);
  }
});
