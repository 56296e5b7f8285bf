import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { explain } from "../../../errors.ts";

/** What a control group can hold of what we need. */
export const CONTROLLERS = ["memory", "pids", "cpu"] as const;
export type Controller = (typeof CONTROLLERS)[number];

/** A directory below which we may make groups, and what they hold there. */
export interface Hierarchy {
  readonly dir: string;
  /** Version 2, where all controllers share one tree. */
  readonly isUnified: boolean;
  readonly controllers: readonly Controller[];
}

/** Where one tree of groups is mounted, and which group this process is in. */
interface Place {
  readonly mount: string;
  /** Below the mount; null where it is outside of what is mounted here. */
  readonly own: string | null;
}

export interface Places {
  readonly unified: Place | null;
  readonly v1: ReadonlyMap<Controller, Place>;
}

/**
 * The trees of control groups that this process sees, from the texts of its `mountinfo` and `cgroup`.
 * @see proc_pid_mountinfo(5), cgroups(7)
 */
export function placesIn(mountinfo: string, cgroup: string): Places {
  const paths = new Map<string, string>();
  for (const line of cgroup.split("\n")) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names === undefined || path === undefined) continue;
    for (const name of names.split(",")) paths.set(name, path);
  }
  let unified: Place | null = null;
  const v1 = new Map<Controller, Place>();
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [root = "/", mount = ""] = before.split(" ").slice(3, 5).map(unescaped);
    const [type, , options = ""] = after.split(" ");
    const placeOf = (name: string) => ({ mount, own: ownBelow(mount, root, paths.get(name)) });
    if (type === "cgroup2") unified ??= placeOf("");
    if (type !== "cgroup") continue;
    for (const name of CONTROLLERS)
      if (options.split(",").includes(name) && !v1.has(name)) v1.set(name, placeOf(name));
  }
  return { unified, v1 };
}

/** The kernel writes blanks and the like as `\040`. */
function unescaped(word: string): string {
  return word.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function ownBelow(mount: string, root: string, path: string | undefined): string | null {
  if (path === undefined) return null;
  const way = relative(root, path);
  return way === ".." || way.startsWith("../") ? null : join(mount, way);
}

/** Of our own process under a service manager: the leaf that `DelegateSubgroup=` names in the unit. */
export const OWN_LEAF = "serve";
/** Of the agents of a Lazarus that is root, beside the groups of the service manager. */
const OF_AGENTS = "lazarus";

/**
 * Where groups for cells can be made: in version 2 if that holds memory and numbers of processes, else in
 * version 1. Puts the controllers of version 2 into force for what is made there.
 * @throws Error saying in words why there is no such place.
 */
export function openHierarchies({ unified, v1 }: Places): Hierarchy[] {
  if (unified !== null && isEnough(controllersIn(unified.mount))) return [unifiedBelow(unified)];
  const found: Hierarchy[] = [];
  // Without a controller of its own it ends all of a group at one stroke.
  if (unified?.own != null) found.push({ dir: unified.own, isUnified: true, controllers: [] });
  for (const [name, { own }] of v1) {
    if (own === null) continue;
    const there = found.find((one) => one.dir === own);
    if (there === undefined) found.push({ dir: own, isUnified: false, controllers: [name] });
    else found[found.indexOf(there)] = { ...there, controllers: [...there.controllers, name] };
  }
  if (!isEnough(found.flatMap((one) => one.controllers)))
    throw new Error("the controllers memory and pids are not there");
  return found;
}

function isEnough(controllers: readonly Controller[]): boolean {
  return controllers.includes("memory") && controllers.includes("pids");
}

/** What a group of version 2 may pass on. */
function controllersIn(dir: string): Controller[] {
  const names = read(join(dir, "cgroup.controllers")).split(/\s+/);
  return CONTROLLERS.filter((name) => names.includes(name));
}

function unifiedBelow(place: Place): Hierarchy {
  const dir = unifiedBase(place);
  const controllers = passOn(dir);
  if (!isEnough(controllers)) throw new Error(`${dir} does not pass memory and pids on`);
  return { dir, isUnified: true, controllers };
}

/**
 * A group with processes of its own cannot pass controllers on. So it is the one above us where the service
 * manager gave us a leaf; as root a group beside all others; in a container that has only us its root, after
 * we have moved into a leaf.
 */
function unifiedBase({ mount, own }: Place): string {
  if (own === null) throw new Error("our own control group is outside of what is mounted here");
  if (basename(own) === OWN_LEAF) return dirname(own);
  const isMachine = !existsSync(join(mount, "cgroup.type"));
  if (process.getuid?.() !== 0)
    throw new Error("it was not delegated to us: the unit needs Delegate=yes and DelegateSubgroup=serve");
  if (!isMachine) {
    if (own !== mount) throw new Error("our container's control group is not ours to divide");
    moveAll(mount, join(mount, OWN_LEAF));
    return mount;
  }
  passOn(mount);
  const base = join(mount, OF_AGENTS);
  mkdirSync(base, { recursive: true });
  return base;
}

/** Answers what is in force below it then. */
function passOn(dir: string): Controller[] {
  const file = join(dir, "cgroup.subtree_control");
  const held = () => read(file).split(/\s+/);
  const missing = controllersIn(dir).filter((name) => !held().includes(name));
  for (const name of missing) {
    try {
      writeFileSync(file, `+${name}`);
    } catch {
      // Each by itself: where processes with real-time priority run, cpu cannot be passed on.
    }
  }
  return CONTROLLERS.filter((name) => held().includes(name));
}

function moveAll(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const pid of read(join(from, "cgroup.procs")).split("\n").filter(Boolean)) {
    try {
      writeFileSync(join(to, "cgroup.procs"), pid);
    } catch (error) {
      throw new Error(`process ${pid} cannot be moved: ${explain(error)}`, { cause: error });
    }
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return "";
  }
}
