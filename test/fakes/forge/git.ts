import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const ZERO = "0".repeat(40);

export interface GitAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface GitOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Buffer;
}

/** The environment of every git the stand-in runs: nobody's configuration but the repository's own. */
export function gitEnvironment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "",
    HOME: tmpdir(),
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
  };
}

/** Runs git in a bare repository and answers whatever came out; never throws for an exit code. */
export function tryGit(dir: string, args: readonly string[], options: GitOptions = {}): Promise<GitAnswer> {
  return new Promise((resolve, reject) => {
    const env = { ...gitEnvironment(), ...options.env };
    const child = execFile(
      "git",
      ["-C", dir, ...args],
      { env, maxBuffer: 256 * 1024 * 1024, encoding: "utf8" },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== "number") return reject(error);
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
}

/** Runs git and answers its output without the last line end; throws on any exit code but 0. */
export async function git(dir: string, args: readonly string[], options: GitOptions = {}): Promise<string> {
  return outputOf(await tryGit(dir, args, options), dir, args);
}

/** The same of {@link tryGitOnce}. */
export async function gitOnce(dir: string, args: readonly string[]): Promise<string> {
  return outputOf(await tryGitOnce(dir, args), dir, args);
}

function outputOf({ code, stdout, stderr }: GitAnswer, dir: string, args: readonly string[]): string {
  if (code !== 0) throw new Error(`git ${args[0]} in ${dir} exited ${code}: ${stderr}`);
  return stdout.replace(/\n$/, "");
}

/**
 * The hook that refuses pushes in Gitea's words; what is allowed arrives by environment from `git-http.ts`.
 */
const PRE_RECEIVE = `#!/bin/sh
refuse() {
  case "$STAND_IN_REFUSAL" in
    error*) echo "error:" >&2; echo "error: $1" >&2; echo "error:" >&2 ;;
    *) echo "" >&2; echo "$STAND_IN_REFUSAL$1" >&2 ;;
  esac
  exit 1
}
while read -r old new ref; do
  case "$ref" in
    refs/heads/*) branch=\${ref#refs/heads/} ;;
    refs/tags/*) branch= ;;
    *) refuse "Unexpected ref: $ref" ;;
  esac
  test "$STAND_IN_MAY_WRITE" = 1 || refuse "User permission denied for writing."
  test -n "$branch" || continue
  case "$new" in
    *[!0]*) ;;
    *) test "$branch" = "$STAND_IN_DEFAULT" && refuse "branch $branch is the default branch and cannot be deleted" ;;
  esac
  IFS='
'
  set -f
  for pattern in $STAND_IN_PROTECTED; do
    case "$branch" in
      $pattern)
        case "$new" in *[!0]*) ;; *) refuse "branch $branch is protected from deletion" ;; esac
        refuse "Not allowed to push to protected branch $branch" ;;
    esac
  done
  unset IFS
done
exit 0
`;

const CONFIG = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[http]
	receivepack = true
[gc]
	auto = 0
`;

/**
 * Makes an empty bare repository, as `git init --bare` does: thousands of tests begin with one, and each git
 * that is started costs more than all of it.
 */
export async function initRepository(dir: string, defaultBranch: string): Promise<void> {
  for (const name of ["hooks", "info", "objects/info", "objects/pack", "refs/heads", "refs/tags"])
    await mkdir(join(dir, name), { recursive: true });
  await writeFile(join(dir, "HEAD"), `ref: refs/heads/${defaultBranch}\n`);
  await writeFile(join(dir, "config"), CONFIG);
  const hook = join(dir, "hooks", "pre-receive");
  await writeFile(hook, PRE_RECEIVE);
  await chmod(hook, 0o755);
}

/** Answers about commits that are named by their ids, by repository and question: they never change. */
const known = new Map<string, GitAnswer>();
const MOST_KNOWN = 1_000;
const LONGEST_KNOWN = 64 * 1024;

/** As {@link tryGit} where all that is asked about is named by ids: the same question starts no second git. */
export async function tryGitOnce(dir: string, args: readonly string[]): Promise<GitAnswer> {
  const key = [dir, ...args].join("\0");
  const before = known.get(key);
  if (before !== undefined) return before;
  const answer = await tryGit(dir, args);
  if (answer.code !== 0 || answer.stdout.length > LONGEST_KNOWN) return answer;
  const [oldest] = known.keys();
  if (known.size >= MOST_KNOWN && oldest !== undefined) known.delete(oldest);
  known.set(key, answer);
  return answer;
}

const ID = /^[0-9a-f]{40}$/;

/** What a file of a ref says; null where it lies elsewhere, or is none. */
async function readRef(dir: string, name: string): Promise<string | null> {
  if (!name.startsWith("refs/heads/") && !name.startsWith("refs/pull/")) return null;
  const text = await readFile(join(dir, name), "utf8").catch(() => "");
  return ID.test(text.trim()) ? text.trim() : null;
}

/** The commit a ref or name stands for, or null. */
export async function resolveCommit(dir: string, name: string): Promise<string | null> {
  const ref = await readRef(dir, name);
  if (ref !== null) return ref;
  const ask = ID.test(name.slice(0, 40)) ? tryGitOnce : tryGit;
  const answer = await ask(dir, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`]);
  return answer.code === 0 ? answer.stdout.trim() : null;
}

/** Branch name -> commit, sorted by name. */
export async function branches(dir: string): Promise<Map<string, string>> {
  const text = await git(dir, ["for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads"]);
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line !== "") found.set(line.slice(41), line.slice(0, 40));
  }
  return found;
}

export interface NewCommit {
  readonly parent: string | null;
  /** Path -> content; null removes the file. */
  readonly files: Readonly<Record<string, string | Buffer | null>>;
  readonly message: string;
  readonly author: { readonly name: string; readonly email: string };
}

/** Makes a commit the tip of a branch, with one git for all of it; answers its id. */
export async function commitTo(dir: string, branch: string, commit: NewCommit): Promise<string> {
  const { parent, files, message, author } = commit;
  const who = `${author.name} <${author.email}> ${Math.floor(Date.now() / 1_000)} +0000`;
  const data = (content: string | Buffer) => {
    const bytes = Buffer.from(content);
    return [`data ${bytes.length}\n`, bytes, "\n"];
  };
  const changes = Object.entries(files).flatMap(([path, content]) => {
    const quoted = `"${path.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`;
    return content === null ? [`D ${quoted}\n`] : [`M 100644 inline ${quoted}\n`, ...data(content)];
  });
  const parts = [
    ...[`commit refs/heads/${branch}\nmark :1\nauthor ${who}\ncommitter ${who}\n`, ...data(message)],
    ...[parent === null ? "" : `from ${parent}\n`, ...changes, "\nget-mark :1\n"],
  ];
  const input = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return git(dir, ["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--force"], { input });
}

/** Writes a commit object without a worktree and answers its id; moves no ref. */
export async function writeCommit(dir: string, commit: NewCommit): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), "stand-in-index-"));
  try {
    const env = { GIT_INDEX_FILE: join(scratch, "index") };
    if (commit.parent) await git(dir, ["read-tree", commit.parent], { env });
    const lines: string[] = [];
    for (const [path, content] of Object.entries(commit.files)) {
      const blob =
        content === null ? null : await git(dir, ["hash-object", "-w", "--stdin"], { input: content });
      lines.push(`${blob === null ? `0 ${ZERO}` : `100644 ${blob}`}\t${path}\0`);
    }
    await git(dir, ["update-index", "-z", "--index-info"], { env, input: lines.join("") });
    const tree = await git(dir, ["write-tree"], { env });
    return await commitTree(dir, { tree, parents: commit.parent ? [commit.parent] : [], ...commit });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `git commit-tree` with the author as committer. */
export async function commitTree(
  dir: string,
  commit: {
    tree: string;
    parents: readonly string[];
    message: string;
    author: { name: string; email: string };
  },
): Promise<string> {
  const { name, email } = commit.author;
  const env = {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
  const parents = commit.parents.flatMap((parent) => ["-p", parent]);
  return git(dir, ["commit-tree", commit.tree, ...parents], { env, input: commit.message });
}
