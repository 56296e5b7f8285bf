import { existsSync, readdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../fakes/until.ts";
import { Stage } from "./stage.ts";

const TURNS = `
echo turn >> "$LAZARUS_ARTIFACTS/turns"
n=$(wc -l < "$LAZARUS_ARTIFACTS/turns")
echo "$n" > "turn-$n.txt"; git add .; git commit -qm "turn $n"
`;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ agents: { turns: TURNS }, more: { seals: "./seals" } });
});
afterAll(() => stage?.strike());

it("a cell of the server itself is kept as well, and comes back although its directory is gone", async () => {
  const seals = join(stage.lazarus.dir, "seals");
  const issue = await stage.openIssue("Its disk is lost");
  await stage.type(stage.dev, issue, "/lazarus summon turns");
  await stage.card(issue, /\*\*turns is done\*\*[\s\S]*→ draft #\d+/);
  const cellId = await stage.cellId(issue);
  const own = join(stage.lazarus.dir, "missions", cellId);
  const kept = () =>
    (existsSync(seals) ? readdirSync(seals) : []).filter((name) => name.startsWith(`${cellId}.`));
  await stage.type(stage.lead, issue, `/lazarus close ${cellId.slice(0, 8)}`);
  await until("its seal is kept", () => kept().length === 1);
  rmSync(own, { recursive: true });

  await stage.type(stage.lead, issue, `/lazarus revive ${cellId.slice(0, 8)}`);
  await until("its second turn has ended", async () => (await stage.status(cellId)).state === "idle");
  expect(await readFile(join(own, "artifacts", "turns"), "utf8")).toBe("turn\nturn\n");
  const [draft] = await stage.server.pullRequests(stage.repo);
  await until("both turns are published", async () => {
    const diff = await stage.server.diff(stage.repo, draft?.number ?? 0);
    return diff.includes("turn-1.txt") && diff.includes("turn-2.txt");
  });
});
