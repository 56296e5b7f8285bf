import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { withClone } from "../e2e/git-client.ts";
import { Stage } from "../e2e/stage.ts";
import { everythingShown } from "../hostile/ground.ts";
import { type Outcome, verdictOf } from "./field.ts";
import { FORGER, forgeDeliveries } from "./forged.ts";
import { moreFor, type Ring } from "./rings.ts";
import { AGENT_SCRIPTS, OWN_SECRET, SERVED_CASES, type ServedCase } from "./served-cases.ts";

const LANES = 6;
/** Then every cell has a user of its own. */
const IS_ROOT = process.getuid?.() === 0;

interface Played {
  readonly cellId: string;
  readonly card: string;
}

/**
 * Lets every agent loose on a real `lazarus serve` with a stand-in for the forge; each plays once on each
 * backend that it is meant for.
 */
export async function servedAssault(rings: readonly Ring[], cases = SERVED_CASES): Promise<Outcome[]> {
  const canary = `canary-${crypto.randomUUID()}`;
  const stage = await setStage(rings, canary);
  try {
    const best = rings.at(-1);
    if (best === undefined) return [];
    const plays = cases.flatMap((each) => (each.everywhere ? rings : [best]).map((ring) => ({ each, ring })));
    const acting = plays.map(({ each, ring }) => nameOf(each.agent, ring));
    const played = await playAll(stage, [...new Set(acting)]);
    const everything = await shownBy(stage);
    const spies = new Set<string>();
    for (const name of await readdir(join(stage.lazarus.dir, "canary")))
      if (await spied(stage, name)) spies.add(name);
    const outcomes: Outcome[] = [];
    for (const { each, ring } of plays) {
      const at = played.get(nameOf(each.agent, ring)) as Played;
      const { got, isProven } = await judge(each, { stage, at, canary, everything, spies });
      const isClaimed = each.stoppedBy === "both" || ring.isClosed || IS_ROOT;
      outcomes.push({
        id: each.id,
        tries: each.tries,
        on: IS_ROOT ? `${ring.name}, own user` : ring.name,
        got,
        verdict: verdictOf({ isClaimed, isProven, got }),
      });
    }
    // The sandbox has no network: there it does not even reach the port.
    const names = { forger: "forger-process", plain: nameOf("plain", best) };
    outcomes.push(...(await forgeDeliveries(stage, { ...names, on: "process" })));
    return outcomes;
  } finally {
    await stage.strike();
  }
}

const nameOf = (agent: string, { name }: Pick<Ring, "name">) => `${agent}-${name}`;

async function setStage(rings: readonly Ring[], canary: string): Promise<Stage> {
  const stage = await Stage.set({ serve: false });
  const { lazarus } = stage;
  await chmod(lazarus.dir, 0o711);
  for (const name of ["canary", "outside"]) await mkdir(join(lazarus.dir, name));
  await chmod(join(lazarus.dir, "canary"), 0o777);
  await writeFile(join(lazarus.dir, "outside", "keep.txt"), `${canary}\n`);
  await writeFile(join(lazarus.dir, "outside", "r.md"), `${canary}\n`);
  const scripts: Record<string, string> = {};
  const agents: Record<string, unknown> = {};
  for (const ring of rings) {
    for (const [agent, script] of Object.entries({
      ...AGENT_SCRIPTS,
      forger: FORGER,
      plain: "echo p > p; git add p; git commit -qm p",
    })) {
      const name = nameOf(agent, ring);
      scripts[name] = `ground='${lazarus.dir}'\n${script}`;
      const dir = join(lazarus.dir, "agents");
      agents[name] = { command: [join(dir, name)], env: ["OWN_SECRET"], ...ring.agent(dir) };
    }
  }
  await lazarus.configure({
    ...{ forgeUrl: stage.server.url, token: stage.bot.token, agents: scripts, directors: [stage.lead.login] },
    more: {
      ...{
        server: { listen: lazarus.listen },
        agents,
        ...moreFor(rings),
        publish: { max_file: "1MB", protected: ["deploy/**"] },
      },
      limits: { cells: 99, per_repository: 99, per_person: 99, grace: "1s", free: "1MB", revives: 0 },
    },
  });
  await lazarus.serve({ env: { OWN_SECRET } });
  // A mirror that holds what no other repository's cells may see.
  await stage.createRepository("acme/vault", { files: { "secret.txt": `${canary}\n` } });
  const vault = await stage.openIssue("Keep it", { repo: "acme/vault" });
  await stage.type(stage.dev, vault, `/lazarus summon plain-${rings[0]?.name}`);
  await stage.card(vault, /→ draft #\d+/);
  return stage;
}

/** A few at a time: the machine has to do it all. */
async function playAll(stage: Stage, agents: readonly string[]): Promise<ReadonlyMap<string, Played>> {
  const played = new Map<string, Played>();
  const waiting = [...agents];
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      played.set(name, await play(stage, name));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return played;
}

async function play(stage: Stage, agent: string): Promise<Played> {
  const issue = await stage.openIssue(`A task for ${agent}`);
  await stage.type(stage.dev, issue, `/lazarus summon ${agent}`);
  const card = await stage.card(issue, /→ draft #\d+|[Hh]eld back|changed nothing|stopped/);
  const cellId = await stage.cellId(issue);
  if (!agent.startsWith("scrubbed")) return { cellId, card };
  await stage.type(stage.lead, issue, "/lazarus close");
  await stage.card(issue, /\*\*closed by lead\*\*: published as #\d+, archived/);
  await stage.type(stage.lead, issue, "/lazarus destroy");
  return { cellId, card: await stage.card(issue, "**destroyed** by lead") };
}

async function shownBy(stage: Stage): Promise<string> {
  const pulls = await stage.server.pullRequests(stage.repo);
  const issues = await stage.server.api(
    stage.dev,
    "GET",
    `/repos/${stage.repo}/issues?state=all&limit=50&page=2`,
  );
  return [
    await everythingShown(stage),
    issues.text,
    ...pulls.map((one) => one.body),
    ...pulls.map((one) => one.title),
  ].join("\n");
}

interface Seen {
  readonly stage: Stage;
  readonly at: Played;
  readonly canary: string;
  readonly everything: string;
  /** Files of spies that somebody else than the cell had run, before git was run in a tree without care. */
  readonly spies: ReadonlySet<string>;
}

type Judged = { readonly got: string | null; readonly isProven: boolean };

async function judge({ proof, agent }: ServedCase, seen: Seen): Promise<Judged> {
  const { stage, at, canary } = seen;
  const cell = join(stage.lazarus.missionsDir, at.cellId);
  const branch = `lazarus/${at.cellId.slice(0, 8)}`;
  switch (proof.kind) {
    case "spy": {
      const file = `${at.cellId}-${proof.name}`;
      // Read before: git without care for one of them may run another one as well.
      const ran = seen.spies.has(file);
      await runCarelessly(join(cell, "worktree"), proof.git);
      return { got: ran ? "it ran with the bot's rights" : null, isProven: await spied(stage, file) };
    }
    case "held": {
      const pushed = await stage.server.branch(stage.repo, branch);
      return { got: pushed === null ? null : "it was pushed", isProven: at.card.includes("eld back") };
    }
    case "stolen":
      return { got: (await grep(stage, branch, canary)) ? "its content, pushed" : null, isProven: true };
    case "refs": {
      const odd = await oddRefs(stage);
      return { got: odd.length === 0 ? null : odd.join(" "), isProven: at.card.includes("→ draft") };
    }
    case "report": {
      const isShown = `${seen.everything}${at.card}`.includes(canary);
      // A fifo is held against whoever reads it: that the card came is the answer.
      const isProven =
        agent === "piper" ||
        (await readFile(join(cell, "artifacts/reports/r.md"), "utf8").catch(() => "")).includes(canary);
      return {
        got: isShown ? "its content, posted" : null,
        isProven: isProven || !seen.at.card.includes("nothing"),
      };
    }
    case "scrub": {
      const kept = await readFile(join(stage.lazarus.dir, "outside", "keep.txt"), "utf8").catch(() => "");
      const isGone = (await readFile(join(cell, "meta/cell.json")).catch(() => null)) === null;
      if (!kept.includes(canary)) return { got: "the file outside is gone", isProven: true };
      return { got: isGone ? null : "the cell is still there", isProven: true };
    }
    case "shown": {
      const read = (path: string) => readFile(join(cell, path), "utf8").catch(() => "");
      const logs = ["process", "sandbox", "container"].map((on) => `logs/${agent}-${on}-1.log`);
      const raw = (await Promise.all([...logs, "artifacts/reports/r.md"].map(read))).join("");
      const posted =
        typeof proof.posted === "string"
          ? `${seen.everything}\n${at.card}`
          : wordsOf(`${seen.everything}\n${at.card}`);
      return { got: fits(posted, proof.posted) ? "posted as it was" : null, isProven: fits(raw, proof.raw) };
    }
  }
}

const fits = (text: string, what: RegExp | string) =>
  typeof what === "string" ? text.includes(what) : what.test(text);

/** What was posted as lines, not as JSON; without what people typed themselves. */
function wordsOf(text: string): string {
  return text.replaceAll("\\n", "\n").replaceAll("\\u003c", "<").replaceAll("\\\\", "\\");
}

/** Whether a spy was run by somebody who is not the cell. */
async function spied(stage: Stage, name: string): Promise<boolean> {
  const text = await readFile(join(stage.lazarus.dir, "canary", name), "utf8").catch(() => "");
  return text.includes("OUTSIDE");
}

/** Git as anybody would run it in that tree. */
async function runCarelessly(dir: string, args: readonly string[]): Promise<void> {
  const words = ["-C", dir, "-c", "safe.directory=*", "-c", "user.name=x", "-c", "user.email=x@y.z", ...args];
  const running = promisify(execFile)("git", words, {
    env: { PATH: process.env.PATH ?? "", GIT_TERMINAL_PROMPT: "0" },
    timeout: 5_000,
  });
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end("protocol=http\nhost=nowhere.invalid\n\n");
  await running.catch(() => {});
}

async function grep(stage: Stage, branch: string, text: string): Promise<boolean> {
  if ((await stage.server.branch(stage.repo, branch)) === null) return false;
  return withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    const found = await promisify(execFile)("git", ["-C", dir, "grep", "-q", text, `origin/${branch}`]).catch(
      () => null,
    );
    return found !== null;
  });
}

async function oddRefs(stage: Stage): Promise<string[]> {
  return withClone(`${stage.server.url}/${stage.repo}.git`, stage.dev, async (dir) => {
    const { stdout } = await promisify(execFile)("git", [
      "-C",
      dir,
      "for-each-ref",
      "--format=%(refname)",
      "refs/remotes",
      "refs/tags",
    ]);
    const odd = stdout
      .trim()
      .split("\n")
      .filter((ref) => !/^refs\/remotes\/origin\/(HEAD|main|lazarus\/[0-9a-f]+)$/.test(ref));
    const { stdout: subjects } = await promisify(execFile)("git", [
      "-C",
      dir,
      "log",
      "--format=%an",
      "origin/main",
    ]);
    return subjects.includes("refs-") ? [...odd, "main"] : odd;
  });
}
