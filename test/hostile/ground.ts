import { chmod, copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Stage, type Thread } from "../e2e/stage.ts";
import { PATIENCE_MS, until } from "../fakes/until.ts";
import { needs } from "../machine.ts";

/**
 * A shell script that does harm, and how it is configured where that differs. `$ground` is the directory
 * above `data` and `missions`.
 */
export interface Villain {
  readonly script: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

export type Villains = Readonly<Record<string, string | Villain>>;

export interface HostileOptions {
  readonly limits?: Readonly<Record<string, unknown>>;
  readonly publish?: Readonly<Record<string, unknown>>;
  /** Called with the directory above `data` and `missions` before anything is served. */
  readonly prepare?: (ground: string) => Promise<void>;
  /** Environment of `serve` itself. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * For what only an agent with Lazarus' own rights can try. Where Lazarus is root each cell has a user of its
 * own, who cannot (test/runner/users.test.ts): then it is skipped, and must be run as an ordinary user.
 */
export const withOurRights = (name: string, test: () => Promise<void>) =>
  it(name, needs("ordinary user"), test);

/** Commits one file: what must still work after every attack. */
const PLAIN = `set -eu
echo fine > "fine-$LAZARUS_CELL.txt"
git add .
git commit --quiet -m "plain work"`;

/**
 * A stage on which `lead` is a director, with these agents and a harmless one named `plain`, already served.
 */
export async function hostileStage(villains: Villains, options: HostileOptions = {}): Promise<Stage> {
  const stage = await Stage.set({ serve: false });
  const { lazarus } = stage;
  const all: Villains = { plain: PLAIN, ...villains };
  const scripts: Record<string, string> = {};
  const agents: Record<string, unknown> = {};
  for (const [name, villain] of Object.entries(all)) {
    const { script, config } = typeof villain === "string" ? { script: villain, config: {} } : villain;
    scripts[name] = `ground='${lazarus.dir}'\n${script}`;
    agents[name] = { command: [join(lazarus.dir, "agents", name)], backend: "process", ...config };
  }
  await lazarus.configure({
    forgeUrl: stage.server.url,
    token: stage.bot.token,
    agents: scripts,
    directors: [stage.lead.login],
    more: {
      server: { listen: lazarus.listen },
      agents,
      limits: { cells: 50, per_repository: 50, per_person: 50, grace: "1s", revives: 0, ...options.limits },
      publish: options.publish ?? {},
    },
  });
  try {
    // Where Lazarus is root each cell has a user of its own: what agents are to find or leave outside lies
    // open to all.
    await mkdir(join(lazarus.dir, "open"));
    await chmod(join(lazarus.dir, "open"), 0o777);
    await copyFile(lazarus.configPath, join(lazarus.dir, "open", "lazarus.yaml"));
    await chmod(join(lazarus.dir, "open", "lazarus.yaml"), 0o644);
    await options.prepare?.(lazarus.dir);
    await lazarus.serve({ env: { ...options.env } });
    return stage;
  } catch (error) {
    await stage.strike();
    throw error;
  }
}

export interface Attack {
  readonly issue: Thread;
  readonly cellId: string;
  readonly card: string;
}

/** Lets an agent loose on an issue of its own; answers when the card reads like `expected`. */
export async function attack(
  stage: Stage,
  agent: string,
  expected: string | RegExp,
  how: { title?: string; body?: string; patienceMs?: number } = {},
): Promise<Attack> {
  const at = await stage.openIssue(how.title ?? `A task for ${agent}`, { body: how.body ?? "Please." });
  await stage.type(stage.dev, at, `/lazarus summon ${agent}`);
  if (how.patienceMs !== undefined) {
    const isThere = async () => (await stage.cards(at)).some((one) => fits(one.body, expected));
    await until(`the card of ${agent}`, isThere, how.patienceMs);
  }
  const card = await stage.card(at, expected);
  return { issue: at, cellId: await stage.cellId(at), card };
}

function fits(text: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? text.includes(expected) : expected.test(text);
}

/** A harmless summon from comment to draft: serve is at work as ever. */
export async function stillWorks(stage: Stage): Promise<void> {
  const { card } = await attack(stage, "plain", /→ draft #\d+/);
  expect(card).toContain("**plain is done**: 1 commit, 1 file, +1 −0");
  expect((await fetch(`${stage.lazarus.url}/readyz`)).status).toBe(200);
}

/** The draft of an attack's cell. */
export async function draftOf(stage: Stage, attacked: Attack) {
  const number = Number(/→ draft #(\d+)/.exec(attacked.card)?.[1]);
  return stage.server.pullRequest(stage.repo, number);
}

/** What a cell's branch on the forge holds; null where nothing was pushed. */
export function branchOf(stage: Stage, cellId: string): Promise<string | null> {
  return stage.server.branch(stage.repo, `lazarus/${cellId.slice(0, 8)}`);
}

/**
 * Waits until the last line of a cell's story is that it stands in this state; answers what `status --json`
 * says.
 */
export async function inState(
  stage: Stage,
  cellId: string,
  state: string,
  patienceMs = PATIENCE_MS,
): Promise<Record<string, unknown>> {
  let last: Record<string, unknown> = {};
  await until(
    `cell ${cellId} is ${state}`,
    async () => {
      last = await stage.status(cellId);
      return last.state === state;
    },
    patienceMs,
  );
  return last;
}

/** Command lines of all processes that bear the cell's marker. */
export async function livingIn(cellId: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const environ = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
    if (!environ.split("\0").includes(`LAZARUS_CELL=${cellId}`)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    if (/\) [ZX] /.test(stat)) continue;
    found.push((await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")).replaceAll("\0", " "));
  }
  return found;
}

/** Every form in which a secret must not be seen anywhere. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .slice(shift === 0 ? 0 : shift + 1, -4),
  );
  return [secret, encodeURIComponent(secret), bytes.toString("hex"), ...shifted];
}

/** What everybody can see: all that was said and done on the stage's repository, and serve's own log. */
export async function everythingShown(stage: Stage): Promise<string> {
  const issues = await stage.server.api(stage.dev, "GET", `/repos/${stage.repo}/issues?state=all&limit=50`);
  const numbers = (issues.json as { number: number }[]).map((one) => one.number);
  const comments = await Promise.all(numbers.map((number) => stage.server.comments(stage.repo, number)));
  return [issues.text, JSON.stringify(comments), stage.lazarus.log].join("\n");
}
