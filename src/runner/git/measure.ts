import type { Harvest, Seams } from "../../protocol/shapes.ts";
import type { Git } from "./git.ts";

const MAX_LISTED_COMMITS = 50;
/** Of names: some hundred thousand files. */
export const MOST_LISTED_BYTES = 8 * 1024 ** 2;

type Measured = Pick<Harvest, "commits" | "commitCount" | "files" | "added" | "removed" | "heldBack">;

/** What an agent made in a repository of ours, and what people made of it in between. */
export interface Made {
  readonly repository: string;
  readonly base: string;
  readonly tip: string;
  readonly seams: Seams;
  readonly maxFileBytes: number;
}

/**
 * Measures what the agents of a cell made between the base and the tip, without what people pushed in
 * between, and names what must not be pushed: files over `maxFileBytes`, in any of the commits that people
 * have not got yet.
 */
export async function measure(git: Git, made: Made): Promise<Measured> {
  const { maxFileBytes } = made;
  const ask: Ask = async (args) =>
    (
      await git({
        dir: made.repository,
        args,
        doing: "measuring what a cell made",
        mostBytes: MOST_LISTED_BYTES,
        config: { "core.bigFileThreshold": String(maxFileBytes), "core.quotePath": "false" },
      })
    ).stdout;
  const commits = new Map<string, Harvest["commits"][number]>();
  const [names, sum] = [new Set<string>(), { added: 0, removed: 0 }];
  let count = 0;
  for (const { from, to } of (await ownParts(git, made)).reverse()) {
    const span = [`^${made.base}`, `^${from}`, to, "--"];
    const own = Number((await ask(["rev-list", "--count", ...span])).trim());
    // One push of people may be found by several runs, before the agent merges it.
    if (own === 0) continue;
    count += own;
    const format = "--format=%H%x01%an%x01%ct%x01%s";
    const log = await ask(["log", "-z", `--max-count=${MAX_LISTED_COMMITS}`, format, ...span]);
    for (const line of log.split("\0").filter((one) => one.trim() !== "")) {
      const one = parseCommit(line);
      if (commits.size < MAX_LISTED_COMMITS) commits.set(one.hash, one);
    }
    for (const { name, added, removed } of await changes(ask, from, to)) {
      names.add(name);
      sum.added += added;
      sum.removed += removed;
    }
  }
  const span = `${await sinceTheirs(git, made)}..${made.tip}`;
  return {
    commits: [...commits.values()],
    commitCount: count,
    files: names.size,
    ...sum,
    heldBack: await tooLarge(ask, span, maxFileBytes),
  };
}

/**
 * What people have on the forge of what leads to the tip: their own last push, where the tip holds it, else
 * what the cell started from.
 */
export async function sinceTheirs(git: Git, made: Made): Promise<string> {
  return (await held(git, made)).at(-1)?.to ?? made.base;
}

/** From where to where agents worked, oldest first. */
async function ownParts(git: Git, made: Made): Promise<{ from: string; to: string }[]> {
  const seams = await held(git, made);
  const begins = [made.base, ...seams.map((one) => one.to)];
  const ends = [...seams.map((one) => one.from), made.tip];
  return begins.map((from, at) => ({ from, to: ends[at] ?? made.tip }));
}

/** Those pushes of people that the tip still holds, with what they were made of. */
async function held(git: Git, { repository, tip, seams }: Made): Promise<Seams> {
  const isIn = async (commit: string): Promise<boolean> => {
    const args = ["merge-base", "--is-ancestor", commit, tip];
    return (await git({ dir: repository, args, doing: "comparing tips", tolerant: true })).code === 0;
  };
  const found: Seams = [];
  for (const one of seams) if ((await isIn(one.to)) && (await isIn(one.from))) found.push(one);
  return found;
}

type Ask = (args: readonly string[]) => Promise<string>;

async function changes(
  ask: Ask,
  from: string,
  to: string,
): Promise<{ name: string; added: number; removed: number }[]> {
  const options = ["--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv"];
  const numstat = await ask(["diff", ...options, from, to, "--"]);
  return numstat
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => {
      const [added = "", removed = "", ...name] = line.split("\t");
      const count = (text: string) => Number.parseInt(text, 10) || 0;
      return { name: name.join("\t"), added: count(added), removed: count(removed) };
    });
}

/** A line of `log` in the format `%H %an %ct %s`, parted by the byte 1. */
export function parseCommit(line: string): Harvest["commits"][number] {
  const [hash = "", author = "", at = "", ...subject] = line.trim().split("\x01");
  return {
    hash,
    author: author.slice(0, 100),
    at: Number(at) * 1_000 || 0,
    subject: subject.join(" ").slice(0, 300),
  };
}

async function tooLarge(ask: Ask, span: string, maxBytes: number): Promise<string[]> {
  const filter = `--filter=blob:limit=${maxBytes + 1}`;
  const listed = await ask([
    "rev-list",
    "--objects",
    filter,
    "--filter-print-omitted",
    "--no-object-names",
    span,
    "--",
  ]);
  const omitted = listed
    .split("\n")
    .filter((line) => line.startsWith("~"))
    .map((line) => line.slice(1));
  if (omitted.length === 0) return [];
  const names = new Map<string, string>();
  for (const line of (await ask(["rev-list", "--objects", span, "--"])).split("\n")) {
    const at = line.indexOf(" ");
    if (at > 0) names.set(line.slice(0, at), line.slice(at + 1));
  }
  const say = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MB`;
  const sentences: string[] = [];
  for (const hash of omitted.slice(0, 10)) {
    const bytes = Number((await ask(["cat-file", "-s", hash])).trim());
    sentences.push(
      `${names.get(hash) ?? hash.slice(0, 10)} is ${say(bytes)}, larger than ${say(maxBytes)} (publish.max_file)`,
    );
  }
  if (omitted.length > 10) sentences.push(`${omitted.length - 10} more files are too large`);
  return sentences;
}
