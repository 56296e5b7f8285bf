import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Stage, type Thread } from "../e2e/stage.ts";
import { type Outcome, verdictOf } from "./field.ts";
import { moreFor, type Ring } from "./rings.ts";

/** Then every cell has a user of its own. */
const IS_ROOT = process.getuid?.() === 0;

/**
 * What a guest tries in a cell that others work in: a line of shell, in which `$cell` is the cell's
 * directory. It writes `MARK` where it can, or reads `KEY`.
 */
interface GuestCase {
  readonly id: string;
  readonly tries: string;
  readonly script: string;
  /** A file of the cell that holds the mark where it succeeded. */
  readonly file: string;
}

const MARK = "spoiled-by-a-guest";
const KEY = "the-key-of-who-works";

const tried = (id: string, tries: string, file: string, script = `echo ${MARK} > "$cell/${file}"`) => ({
  ...{ id, tries, file, script },
});
export const GUEST_CASES: readonly GuestCase[] = [
  tried("12.1", "write the tree of who works there", "worktree/work.txt"),
  tried("12.2", "write their repository", "worktree/.git/guest"),
  tried(
    "12.3",
    "have a hook run by who works there next",
    "worktree/.git/hooks/pre-commit",
    `mkdir -p "$cell/worktree/.git/hooks"; echo ${MARK} > "$cell/worktree/.git/hooks/pre-commit"`,
  ),
  tried("12.4", "change what they hand over", "artifacts/handoff/1-worker.md"),
  tried("12.5", "leave a report in their name", "artifacts/reports/guest.md"),
  tried("12.6", "answer a review for them", "artifacts/answers/1.json"),
  tried("12.7", "ask people a question for them", "artifacts/question.md"),
  tried(
    "12.8",
    "read their home",
    "artifacts/guests/AGENT/key",
    'cat "$cell/home/worker/key" > "$LAZARUS_ARTIFACTS/key"',
  ),
  tried("12.9", "write their home", "home/worker/guest"),
  tried("12.10", "change the brief", "config/brief.md"),
];

/** What a person tries whom somebody invited: a line on the thread, and the words of the refusal. */
export const PEOPLE_CASES: readonly {
  id: string;
  tries: string;
  as: string;
  line: string;
  refusal: string;
}[] = [
  {
    ...{ id: "12.12", tries: "merge as a director by invitation", as: "director" },
    ...{ line: "close CELL --merge", refusal: "by invitation" },
  },
  {
    ...{ id: "12.13", tries: "destroy by force as one", as: "director" },
    ...{ line: "destroy CELL --force", refusal: "by invitation" },
  },
  {
    ...{ id: "12.14", tries: "let protected paths go as one", as: "director" },
    ...{ line: "publish CELL --allow-protected", refusal: "by invitation" },
  },
  {
    ...{ id: "12.15", tries: "make a director as one", as: "director" },
    ...{ line: "invite CELL @dev director", refusal: "by invitation" },
  },
  {
    ...{ id: "12.16", tries: "keep its own role for longer as one", as: "director" },
    ...{ line: "invite CELL @reader director --for 90d", refusal: "by invitation" },
  },
  {
    ...{ id: "12.17", tries: "tell the agent something as an observer", as: "observer" },
    ...{ line: "tell CELL do evil", refusal: "needs write" },
  },
  {
    ...{ id: "12.18", tries: "tell it something once the invitation is ended", as: "none" },
    ...{ line: "tell CELL do evil", refusal: "needs write" },
  },
];

/** Attacks of guests, agents and people, on a real `lazarus serve` with a stand-in for the forge. */
export async function guestAssault(rings: readonly Ring[]): Promise<Outcome[]> {
  const stage = await setStage(rings);
  try {
    const outcomes: Outcome[] = [];
    for (const ring of rings) outcomes.push(...(await visitAssault(stage, ring)));
    outcomes.push(...(await peopleAssault(stage)));
    return outcomes;
  } finally {
    await stage.strike();
  }
}

async function setStage(rings: readonly Ring[]): Promise<Stage> {
  const stage = await Stage.set({ serve: false });
  const { lazarus } = stage;
  await chmod(lazarus.dir, 0o711);
  const dir = join(lazarus.dir, "agents");
  const attack = GUEST_CASES.map(({ script }) => `(${script}) 2>/dev/null`).join("\n");
  const scripts: Record<string, string> = {
    worker: `echo "$(date +%N)" > work.txt; git add .; git commit --quiet -m work
echo mine > "$LAZARUS_HANDOFF"; echo ${KEY} > "$HOME/key"`,
  };
  const agents: Record<string, unknown> = {
    worker: { command: [join(dir, "worker")], backend: "process" },
  };
  for (const ring of rings) {
    const name = `guest-${ring.name}`;
    scripts[name] = `cell=$(dirname "$(dirname "$LAZARUS_MISSION")")
${attack}
echo ${MARK} > work.txt; git commit --quiet -am ${MARK} 2>/dev/null
echo seen > "$LAZARUS_ARTIFACTS/reports/r.md"`;
    agents[name] = { command: [join(dir, name)], ...ring.agent(dir) };
  }
  await lazarus.configure({
    ...{ forgeUrl: stage.server.url, token: stage.bot.token, agents: scripts, directors: [stage.lead.login] },
    more: {
      server: { listen: lazarus.listen },
      agents,
      ...moreFor(rings),
      limits: { grace: "1s", free: "1MB", revives: 0 },
    },
  });
  await mkdir(dir, { recursive: true });
  await lazarus.serve();
  return stage;
}

async function cellOn(stage: Stage, title: string): Promise<{ issue: Thread; cellId: string }> {
  const issue = await stage.openIssue(title);
  await stage.type(stage.dev, issue, "/lazarus summon worker");
  await stage.card(issue, /worker is done.*→ draft #\d+/);
  return { issue, cellId: await stage.cellId(issue) };
}

/** An agent visits a cell, and tries all at once; what it got is read from the cell itself. */
async function visitAssault(stage: Stage, { name: on, isClosed }: Ring): Promise<Outcome[]> {
  const { issue, cellId } = await cellOn(stage, `Looked at in ${on}`);
  const agent = `guest-${on}`;
  const dir = join(stage.lazarus.missionsDir, cellId);
  const read = (file: string) => readFile(join(dir, file.replace("AGENT", agent)), "utf8").catch(() => "");
  await stage.type(stage.lead, issue, `/lazarus invite ${cellId.slice(0, 8)} bot:${agent}`);
  const { pull_request: number } = (await stage.status(cellId)) as { pull_request: number };
  await stage.reply({ repo: stage.repo, number }, "reports on");
  const name = IS_ROOT ? `${on}, own user` : on;
  const isClaimed = isClosed || IS_ROOT;
  const outcomes: Outcome[] = [];
  for (const { id, tries, file, script } of GUEST_CASES) {
    const text = await read(file);
    const got = text.includes(MARK) || text.includes(KEY) ? `${MARK}, or the key, in ${file}` : null;
    // Who has the rights that a guest lacks does just that.
    const isProven = await works(dir, script, file);
    outcomes.push({ id, tries, on: name, got, verdict: verdictOf({ isClaimed, isProven, got }) });
  }
  const branch = await stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);
  const log = await promisify(execFile)("git", ["-C", dir, "-c", "safe.directory=*", "log", "--format=%s"], {
    env: { PATH: process.env.PATH ?? "", GIT_DIR: join(dir, "worktree", ".git") },
  }).catch(() => ({ stdout: MARK }));
  const pushed = branch === null || log.stdout.includes(MARK) ? "a commit of its own" : null;
  outcomes.push({
    ...{ id: "12.11", tries: "have a commit of its own published", on: name, got: pushed },
    verdict: verdictOf({ isClaimed, isProven: true, got: pushed }),
  });
  return outcomes;
}

/** Whether the same lines do what they are meant to, for whoever may write there. */
async function works(cell: string, script: string, file: string): Promise<boolean> {
  const scratch = join(cell, "artifacts", "scratch");
  await mkdir(scratch, { recursive: true });
  const before = await readFile(join(cell, file), "utf8").catch(() => null);
  await promisify(execFile)("sh", ["-c", `cell='${cell}'; ${script}`], {
    env: { PATH: process.env.PATH ?? "", LAZARUS_ARTIFACTS: scratch },
  }).catch(() => {});
  const at = file.includes("AGENT") ? join(scratch, "key") : join(cell, file);
  const text = await readFile(at, "utf8").catch(() => "");
  if (before !== null && !file.includes("AGENT")) await writeFile(at, before);
  return text.includes(MARK) || text.includes(KEY);
}

async function peopleAssault(stage: Stage): Promise<Outcome[]> {
  const { issue, cellId } = await cellOn(stage, "Guests of every kind");
  const short = cellId.slice(0, 8);
  const outcomes: Outcome[] = [];
  let count = 0;
  for (const { id, tries, as, line, refusal } of PEOPLE_CASES) {
    const typed = await stage.type(
      stage.lead,
      issue,
      `/lazarus invite ${short} @${stage.reader.login} ${as}`,
    );
    await stage.reacted(issue, typed, "rocket");
    const tried = await stage.type(stage.reader, issue, `/lazarus ${line.replace("CELL", short)}`);
    const reactions = await stage.reacted(issue, tried, "confused").catch(() => []);
    const said = reactions.length === 0 ? "" : await stage.reply(issue, "", ++count);
    const { state } = (await stage.status(cellId)) as { state: string };
    const got = said.includes(refusal) && state === "idle" ? null : `it was done: ${state}`;
    const verdict = verdictOf({ isClaimed: true, isProven: true, got });
    outcomes.push({ id, tries, on: "serve", got, verdict });
  }
  return outcomes;
}
