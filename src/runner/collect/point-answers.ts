import * as z from "zod";
import { LazarusError } from "../../errors.ts";
import { type Point, type PointAnswer, VERDICTS } from "../../protocol/points.ts";
import { firstBytes } from "../../visible.ts";
import { plainRedacted } from "../disk/log-tail.ts";
import { inDirectory, readInside } from "../disk/safe-files.ts";
import type { Git, GitCall, GitEnd } from "../git/git.ts";
import { mapLine, readHunks } from "../git/map-line.ts";
import { MOST_LISTED_BYTES } from "../git/measure.ts";

const MOST_BYTES = 64 * 1024;
const MOST_WORDS_BYTES = 2_000;
/** A turn makes a few; what is older than so many is found by nobody. */
const MOST_COMMITS = 1_000;
/** As far as a line is followed through one file. */
const MOST_DIFF_BYTES = 1024 ** 2;

/** What a run was asked, and where to look for its answers. */
export interface Asked {
  readonly turn: number;
  readonly points: readonly Point[];
  /** What the forge had of the work: commits that are no part of it are this turn's. */
  readonly since: readonly string[];
}

/** The work as it lies in a repository of ours; null where nothing could be taken out. */
export interface Work {
  readonly repository: string;
  readonly base: string;
  readonly tip: string;
}

export interface AnswerDeps {
  readonly git: Git;
  readonly redact: (text: string) => string;
}

const said = z.object({
  verdict: z.enum(VERDICTS),
  commit: z.string().optional(),
  words: z.string().optional(),
});
type Said = z.infer<typeof said>;

/** Name of the file below `artifacts/answers/` that an agent answers the points of a turn in. */
export function answersFileOf(turn: number): string {
  return `${turn}.json`;
}

/**
 * What an agent answered to each point, by its file, or, where that cannot be read, by the trailers `Item: 3`
 * of its commits; and where the lines of the points are now. Throws nothing for what an agent wrote.
 */
export async function readAnswers(
  { git: ask, redact }: AnswerDeps,
  on: { readonly cellDir: string; readonly asked: Asked; readonly work: Work | null },
): Promise<PointAnswer[]> {
  const git = unlimited(ask);
  const { asked, work } = on;
  const commits = work === null ? [] : await commitsOfTurn(git, work, asked.since);
  const told = (await readFile(on.cellDir, asked.turn)) ?? byTrailers(commits);
  const answers: PointAnswer[] = [];
  for (const point of asked.points) {
    const answer = told.get(point.n);
    const named = answer?.commit?.trim().toLowerCase() ?? "";
    const found = named.length < 7 ? undefined : commits.find((one) => one.hash.startsWith(named));
    const commit = found?.hash ?? null;
    answers.push({
      n: point.n,
      verdict: answer?.verdict ?? null,
      words: wordsOf(answer, redact),
      commit,
      touches: commit === null || work === null ? null : await touches(git, work, { commit, point }),
      line: work === null ? null : await lineNow(git, work, point),
    });
  }
  return answers;
}

type Ask = (call: Omit<GitCall, "tolerant">) => Promise<GitEnd>;

/** What comes to a limit is not known: the work itself is looked through elsewhere, and says so. */
function unlimited(git: Git): Ask {
  return (call) =>
    git({ ...call, tolerant: true }).catch((error: unknown) => {
      if (error instanceof LazarusError && error.code === "over-limit") return NO_ANSWER;
      throw error;
    });
}

const NO_ANSWER: GitEnd = { code: 1, stdout: "", stderr: "" };

function wordsOf(answer: Said | undefined, redact: (text: string) => string): string {
  const text = plainRedacted(answer?.words ?? "", redact).trim();
  return Buffer.byteLength(text) <= MOST_WORDS_BYTES ? text : `${firstBytes(text, MOST_WORDS_BYTES)}…`;
}

/** Null where there is no file of that form. */
async function readFile(cellDir: string, turn: number): Promise<Map<number, Said> | null> {
  const read = await inDirectory(cellDir, ["artifacts", "answers"], (directory) =>
    readInside(directory, answersFileOf(turn), { end: "start", maxBytes: MOST_BYTES }),
  );
  if (read === null || read.cut) return null;
  try {
    const whole: unknown = JSON.parse(read.text);
    if (typeof whole !== "object" || whole === null || Array.isArray(whole)) return null;
    const found = new Map<number, Said>();
    for (const [key, value] of Object.entries(whole)) {
      const parsed = said.safeParse(value);
      if (/^[1-9]\d{0,8}$/.test(key) && parsed.success) found.set(Number(key), parsed.data);
    }
    return found;
  } catch {
    // Half-written, or no JSON at all.
    return null;
  }
}

interface TurnCommit {
  readonly hash: string;
  readonly items: readonly number[];
}

function byTrailers(commits: readonly TurnCommit[]): Map<number, Said> {
  const found = new Map<number, Said>();
  for (const { hash, items } of commits)
    for (const n of items) if (!found.has(n)) found.set(n, { verdict: "done", commit: hash });
  return found;
}

/** The newest first. What the forge had may be gone from a history that the agent wrote anew. */
async function commitsOfTurn(
  git: Ask,
  { repository, base, tip }: Work,
  since: readonly string[],
): Promise<TurnCommit[]> {
  const ask = (args: readonly string[]) =>
    git({
      dir: repository,
      args,
      doing: "looking for the commits of a turn",
      mostBytes: MOST_LISTED_BYTES,
    });
  const known: string[] = [];
  for (const commit of since)
    if ((await ask(["cat-file", "-e", `${commit}^{commit}`])).code === 0) known.push(`^${commit}`);
  const format = "--format=%H%x01%(trailers:key=Item,valueonly,separator=%x2C)";
  const log = await ask([
    "log",
    "-z",
    `--max-count=${MOST_COMMITS}`,
    format,
    `^${base}`,
    ...known,
    tip,
    "--",
  ]);
  return log.stdout
    .split("\0")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [hash = "", items = ""] = line.trim().split("\x01");
      return { hash, items: items.split(",").map(Number).filter(Number.isSafeInteger) };
    });
}

/** Whether a commit changes the file that a point is about; null where it is about none. */
async function touches(
  git: Ask,
  { repository }: Work,
  { commit, point }: { readonly commit: string; readonly point: Point },
): Promise<boolean | null> {
  if (point.path === "") return null;
  const args = [
    "diff-tree",
    "--root",
    "-r",
    "-m",
    "--no-commit-id",
    "--name-only",
    "-z",
    commit,
    "--",
    literally(point.path),
  ];
  const changed = await git({ dir: repository, args, doing: "looking at a commit" });
  return changed.code === 0 ? changed.stdout !== "" : null;
}

/** Null: the file is gone, or nobody knows. */
async function lineNow(git: Ask, { repository, tip }: Work, point: Point): Promise<number | null> {
  const { path, line, commit } = point;
  if (path === "" || line === 0 || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  const ask = (args: readonly string[]) =>
    git({ dir: repository, args, doing: "following a line", mostBytes: MOST_DIFF_BYTES });
  const isThere = await ask(["ls-tree", "-z", "--name-only", tip, "--", literally(path)]);
  if (isThere.code !== 0 || isThere.stdout === "") return null;
  const options = ["-U0", "--no-color", "--no-renames", "--no-ext-diff", "--no-textconv"];
  const diff = await ask(["diff", ...options, commit, tip, "--", literally(path)]);
  if (diff.code !== 0) return null;
  const hunks = readHunks(diff.stdout);
  return hunks === null ? null : mapLine(line, hunks);
}

/** As a file's name and nothing else, whatever git reads in patterns. */
function literally(path: string): string {
  return `:(literal,top)${path}`;
}
