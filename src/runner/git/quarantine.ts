import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LazarusError, saysDiskFull } from "../../errors.ts";
import { fullDisk, isFull } from "../disk/full-disk.ts";
import type { Git } from "./git.ts";
import { usefulLine } from "./refusal.ts";

/** What a cell made, as one bundle, and what it is measured against. */
export interface Delivery {
  readonly cellId: string;
  /** Bare repository whose objects are borrowed. */
  readonly mirror: string;
  readonly baseCommit: string;
}

/**
 * A repository of ours, outside every cell, that holds what one cell made; null `tip` with the reason where
 * it does not hold water.
 */
export type Checked =
  | { readonly tip: string; readonly repository: string }
  | { readonly tip: null; readonly why: string };

/** `<data>/quarantine/<cell>` */
export interface Quarantine {
  dir(cellId: string): string;
  /** Where a bundle is to be put; nothing lies there. */
  prepare(cellId: string): Promise<string>;
  /** Takes the bundle in, with every object checked, and nothing of it run. */
  admit(delivery: Delivery): Promise<Checked>;
  remove(cellId: string): Promise<void>;
}

/** Quarantine repositories below one directory. */
export function createQuarantine(options: {
  readonly dir: string;
  readonly git: Git;
  readonly bigFileBytes: number;
  /** Puts a commit on top that asks CI to leave the branch alone. */
  readonly skipCi: boolean;
}): Quarantine {
  const dir = (cellId: string) => join(options.dir, cellId);
  return {
    dir,
    async prepare(cellId) {
      await rm(dir(cellId), { recursive: true, force: true });
      await mkdir(dir(cellId), { recursive: true, mode: 0o700 });
      return join(dir(cellId), "branch.bundle");
    },
    async remove(cellId) {
      await rm(dir(cellId), { recursive: true, force: true });
    },
    async admit(delivery) {
      const repository = join(dir(delivery.cellId), "repository.git");
      await rm(repository, { recursive: true, force: true });
      const doing = `looking at what cell ${delivery.cellId.slice(0, 8)} made`;
      await options.git({
        dir: dir(delivery.cellId),
        args: ["init", "--bare", "--quiet", "--template=", repository],
        doing,
      });
      await mkdir(join(repository, "objects", "info"), { recursive: true });
      await writeFile(
        join(repository, "objects", "info", "alternates"),
        `${join(delivery.mirror, "objects")}\n`,
      );
      const config = {
        "fetch.fsckObjects": "true",
        "transfer.fsckObjects": "true",
        "fetch.unpackLimit": "1",
        "core.bigFileThreshold": String(options.bigFileBytes),
      };
      const git = async (args: readonly string[]) => {
        const seen = await options.git({ dir: repository, args, doing, files: true, tolerant: true, config });
        // Git does not always say that there was no room: what it then says of the commits is not so.
        if (seen.code !== 0 && (await isFull(repository))) throw fullDisk(doing);
        return seen;
      };
      const bundle = join(dir(delivery.cellId), "branch.bundle");
      const checked = await admitBundle(git, { delivery, repository, bundle });
      if (checked.tip === null || !options.skipCi) return checked;
      return {
        ...checked,
        tip: await askForNoCi(git, { ...checked, scratch: join(dir(delivery.cellId), "no-ci") }),
      };
    },
  };
}

type Ask = (args: readonly string[]) => ReturnType<Git>;

async function admitBundle(
  git: Ask,
  { delivery, repository, bundle }: { delivery: Delivery; repository: string; bundle: string },
): Promise<Checked> {
  const fetched = await git([
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    bundle,
    "+refs/lazarus/tip:refs/lazarus/tip",
  ]);
  if (fetched.code !== 0) return refuse("its commits cannot be read", fetched.stderr);
  // Before 2.46 git checks no objects that come out of a bundle, so the pack is read once more, strictly.
  for (const name of await readdir(join(repository, "objects", "pack"))) {
    if (!name.endsWith(".pack")) continue;
    const pack = join(repository, "objects", "pack", name);
    const checked = await git(["index-pack", "--strict", "-o", join(repository, "checked.idx"), pack]);
    if (checked.code !== 0)
      return refuse("its commits hold an object that git's own check refuses", checked.stderr);
  }
  const tip = (await git(["rev-parse", "--verify", "--quiet", "refs/lazarus/tip^{commit}"])).stdout.trim();
  if (!/^[0-9a-f]{40,64}$/.test(tip))
    return { tip: null, why: "its commits cannot be read: there is no commit at the end" };
  const descends = await git(["merge-base", "--is-ancestor", delivery.baseCommit, tip]);
  if (descends.code !== 0)
    return { tip: null, why: "its history does not contain the commit the cell started from (rewritten?)" };
  return { tip, repository };
}

/**
 * Puts a commit on top of a tip whose message asks CI to leave it alone. The same tip gives the same commit,
 * so that it can be made again.
 * @see the default of Gitea's `[actions] SKIP_WORKFLOW_STRINGS`
 */
async function askForNoCi(
  git: Ask,
  on: { readonly repository: string; readonly tip: string; readonly scratch: string },
): Promise<string> {
  const read = async (what: string) =>
    (await git(["log", "-1", `--format=${what}`, on.tip, "--"])).stdout.trim();
  const who = `lazarus <lazarus@lazarus.invalid> ${await read("%ct")} +0000`;
  const text = `tree ${await read("%T")}\nparent ${on.tip}\nauthor ${who}\ncommitter ${who}\n\nNo CI for what an agent made [skip ci]\n`;
  await writeFile(on.scratch, text);
  const made = (await git(["hash-object", "-t", "commit", "-w", "--", on.scratch])).stdout.trim();
  const moved = await git(["update-ref", "refs/lazarus/tip", made, on.tip]);
  if (!/^[0-9a-f]{40,64}$/.test(made) || moved.code !== 0) {
    throw new LazarusError("git", "asking CI to leave a branch alone: git could not write the commit", {
      retryable: true,
    });
  }
  return made;
}

function refuse(what: string, stderr: string): Checked {
  if (saysDiskFull(stderr)) throw fullDisk("checking what a cell made");
  const line = usefulLine(
    stderr
      .split(/\r?\n/)
      .filter((each) => each.startsWith("error: "))
      .at(0) ?? stderr,
  );
  return { tip: null, why: `${what}${line === "" ? "" : ` (${line})`}` };
}
