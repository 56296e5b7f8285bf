import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lazarus } from "../e2e/lazarus.ts";
import { type Stage, seen } from "../e2e/stage.ts";
import type { Judged } from "./missions.ts";
import type { Ring } from "./rings.ts";

/** Then every cell has a user of its own. */
const IS_ROOT = process.getuid?.() === 0;
const MARK = "spoiled-by-a-check";
export const AGENT_KEY = "the-key-of-an-agent";

/** Commits what its checks run, and keeps its key in its home. */
export const BREAKS = `echo "$AGENT_KEY" > "$HOME/key"; printf '%s' "$AGENT_KEY" > "$LAZARUS_ARTIFACTS/had"
here=$(dirname "$0"); cp "$here/attack" attack.sh; cp "$here/later" later.sh
git add -A; git commit --quiet -m "what the checks run"`;

/**
 * What stands on the branch and is run as its checks: it tries all it can, prints what it read, and fails.
 */
export function checkScripts(lazarus: Lazarus): Readonly<Record<string, string>> {
  const attack = `cell='${lazarus.missionsDir}'/"$LAZARUS_CELL"
echo ${MARK} > "$cell/worktree/evil.txt"
echo ${MARK} > "$cell/worktree/.git/evil"
for home in "$cell"/home/*; do cat "$home/key"; echo ${MARK} > "$home/evil"; done
env; cat /proc/self/environ /proc/$PPID/environ | tr '\\0' '\\n'
cat '${lazarus.configPath}' '${join(lazarus.dataDir, "lazarus.db")}' | tr -d '\\0'
for run in 1 2 3; do
  for file in "$cell/state/checks/exit.json" "$cell/checks/exit.json" "$cell/state/exit.json"; do
    printf '{"run": %s, "code": 0, "signal": null}' $run > "$file"
  done
done
printf 'exit 0\\n' > later.sh
exit 3`;
  return { attack, later: "exit 4" };
}

/** The agent's own code, run as a check, tries what it can; then somebody who may write forges its status. */
export async function checkAssault(stage: Stage, { name: on, isClosed: isHeld }: Ring): Promise<Judged[]> {
  const repo = "acme/checked";
  if (on === "process")
    await stage.createRepository(repo, { files: { "attack.sh": "exit 0\n", "later.sh": "exit 0\n" } });
  const issue = await stage.openIssue(`Checked in ${on}`, { repo });
  await stage.type(stage.dev, issue, `/lazarus summon breaks-${on}`);
  const card = await stage.card(issue, /first failed[\s\S]*later/);
  const cellId = await stage.cellId(issue);
  const read = (path: string) => stage.lazarus.readCell(cellId, path).catch(() => "");
  const { pull_request: number, checks } = (await stage.status(cellId)) as {
    pull_request: number;
    checks: { name: string; state: string; exit: number | null; tip: string }[];
  };
  const of = (name: string) => checks.find((one) => one.name === name);
  const log = await read("logs/check-first-1.log");
  const isTried = log.includes("LAZARUS_CELL=");
  const tip = of("first")?.tip ?? "";
  const status = {
    context: "lazarus/first",
    state: "success",
    description: "forged",
    target_url: "javascript:1",
  };
  const forged = await stage.server.api(stage.dev, "POST", `/repos/${repo}/statuses/${tip}`, status);
  // Whatever is shown next is made of what Lazarus knows.
  await stage.type(stage.lead, issue, "/lazarus extend 5h");
  await stage.card(issue, "lazarus:card:");
  const pull = await seen(
    `the text of #${number}`,
    async () =>
      ((await stage.server.api(stage.bot, "GET", `/repos/${repo}/pulls/${number}`)).json as { body: string })
        .body,
    /\| first \| (?:\*\*failed|ok)/,
  );
  const registry = await readFile(join(stage.lazarus.dataDir, "lazarus.db"), "latin1");
  const worktree = (await read("worktree/evil.txt")) + (await read("worktree/.git/evil"));
  const homes = await read(`home/breaks-${on}/evil`);
  const isClosed = isHeld || IS_ROOT;
  return [
    {
      ...{ id: "15.20", tries: "have a check write the tree of its agent", isProven: isTried },
      ...{ got: worktree.includes(MARK) ? MARK : null, isClaimed: isClosed },
    },
    {
      ...{ id: "15.21", tries: "have a check read the key in the agent's home", isProven: isTried },
      ...{ got: log.includes(AGENT_KEY) ? "the key" : null, isClaimed: isClosed },
    },
    {
      ...{ id: "15.22", tries: "have a check write that home", isProven: isTried },
      ...{ got: homes.includes(MARK) ? MARK : null, isClaimed: isClosed },
    },
    {
      ...{ id: "15.23", tries: "find a key in what a check inherits" },
      got: /^AGENT_KEY=|^LAZARUS_(?:HEARTBEAT|FORGE)_TOKEN=/m.exec(log)?.[0] ?? null,
      isProven: isTried && (await read("artifacts/had")) === AGENT_KEY,
    },
    {
      ...{ id: "15.24", tries: "have a check read the bot's token", isProven: isTried && registry !== "" },
      ...{ got: log.includes(stage.bot.token) ? "the token" : null, isClaimed: isClosed },
    },
    {
      ...{ id: "15.25", tries: "have a check write down that it passed", isProven: isTried },
      got: of("first")?.state === "failed" && of("first")?.exit === 3 ? null : `it ${of("first")?.state}`,
      isClaimed: isClosed,
    },
    {
      ...{ id: "15.26", tries: "have a check change what a later one runs", isProven: isTried },
      // Both are of the same commit, and so of the same trust: nobody promises anything.
      ...{ got: of("later")?.state === "passed" ? "it passed" : null, isClaimed: false },
    },
    {
      ...{ id: "15.27", tries: "say by a status of one's own that it passed", isProven: forged.status < 300 },
      got: /\| first \| \*\*failed/.test(pull) && card.includes("first failed") ? null : "the table says so",
    },
  ];
}
