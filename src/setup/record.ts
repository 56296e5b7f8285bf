import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { explain, LazarusError, systemCode } from "../errors.ts";

const id = z.number().int().nullable();
const made = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("file"), name: z.string(), sha256: z.string() }),
  z.object({ kind: z.literal("hook"), repository: z.string(), name: z.string(), id }),
  z.object({ kind: z.literal("label"), repository: z.string(), name: z.string(), id }),
  z.object({ kind: z.literal("commit"), repository: z.string(), name: z.string(), id }),
  z.object({ kind: z.literal("pull-request"), repository: z.string(), name: z.string(), id }),
  z.object({ kind: z.literal("issue"), repository: z.string(), name: z.string(), id }),
  z.object({ kind: z.literal("application"), name: z.string(), id }),
  // `email` was told to nobody before the account had it: whoever else takes the name has another one.
  z.object({ kind: z.literal("account"), name: z.string(), id, email: z.string().nullable().default(null) }),
]);
const schema = z.object({
  version: z.literal(1),
  /** False: the forge cannot reach this machine, so there is to be no hook. */
  hook: z.boolean().default(true),
  made: z.array(made),
});

/**
 * Something that set-up made. `id` is null from before it is made until its number is known: a kill in
 * between leaves a mark, by which the next run knows that what it finds is its own.
 */
export type Made = z.output<typeof made>;

/** What set-up made, in `<data>/setup.json`: each change is on disk before what follows it. */
export interface SetupRecord {
  readonly hook: boolean;
  wantsHook(hook: boolean): void;
  all(): readonly Made[];
  /** The same thing, whatever its number. */
  find(like: Pick<Made, "kind" | "name"> & { readonly repository?: string }): Made | null;
  /** Adds it, or puts it in the place of the same thing. */
  keep(one: Made): void;
  drop(one: Made): void;
  /** Removes the file itself. */
  forget(): void;
}

const NAME = "setup.json";

/** @throws LazarusError `registry-unusable` where the file is there and cannot be understood. */
export function openRecord(dataDir: string): SetupRecord {
  const path = join(dataDir, NAME);
  let state = read(path);
  const save = (next: typeof state) => {
    state = next;
    write(path, `${JSON.stringify(state, null, 2)}\n`);
  };
  const isSame = (a: { kind: string; name: string; repository?: string }, b: Made) =>
    a.kind === b.kind && a.name === b.name && a.repository === ("repository" in b ? b.repository : undefined);
  return {
    get hook() {
      return state.hook;
    },
    wantsHook(hook) {
      if (hook !== state.hook) save({ ...state, hook });
    },
    all: () => state.made,
    find: (like) => state.made.find((one) => isSame(like, one)) ?? null,
    keep(one) {
      save({ ...state, made: [...state.made.filter((each) => !isSame(one, each)), one] });
    },
    drop(one) {
      save({ ...state, made: state.made.filter((each) => !isSame(one, each)) });
    },
    forget: () => rmSync(path, { force: true }),
  };
}

function read(path: string): z.output<typeof schema> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return { version: 1, hook: true, made: [] };
    throw new LazarusError("registry-unusable", `reading ${path}`, { cause: error });
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    const what = "it is not what setup wrote there";
    throw new LazarusError("registry-unusable", `reading ${path}: ${what}; move it away to begin anew`);
  }
}

/** Whole or not at all, and for its owner alone. */
export function write(path: string, text: string, mode = 0o600): void {
  const fresh = `${path}.new`;
  try {
    rmSync(fresh, { force: true });
    const file = openSync(fresh, "wx", mode);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new LazarusError("directory", `writing ${path}: ${explain(error)}`, { cause: error });
  }
}
