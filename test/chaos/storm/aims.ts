import type { JobKind } from "../../../src/protocol/jobs.ts";
import type { Dice } from "./dice.ts";
import type { Act } from "./people.ts";

/** Where doom.mjs kills Lazarus: `match` is tested on the call's arguments as JSON. */
export type Doom =
  | { readonly at: "commit"; readonly nth: number; readonly spins: number }
  | { readonly at: "step"; readonly kind: JobKind; readonly waitMs: number }
  | { readonly at: "spawn"; readonly when: "before" | "after" | "lock" | "exit"; readonly match: string }
  | { readonly at: "spawn"; readonly when: "soon"; readonly match: string; readonly waitMs: number }
  | {
      readonly at: "say";
      /** In the process that says it, before it is sent, or in the one that it is said to. */
      readonly when: "saying" | "hearing";
      readonly match: string;
      readonly waitMs: number;
    }
  | { readonly at: "http.202"; readonly when: "before" | "after" }
  | { readonly at: `fs.${string}`; readonly when: "before" | "after"; readonly match: string };

/** What one life of Lazarus is meant to end with. */
export interface Aim {
  /** The step or crash window, as the report names it. */
  readonly goal: string;
  readonly doom: Doom | null;
  /** The proxy kills, when the forge has stored this and before anybody hears of it. */
  readonly ambush?: { readonly method: RegExp; readonly path: RegExp };
  /** The storm kills, and these as well. */
  readonly also?: "agents" | "forge a handle" | "rewrite the base";
  /** What people do so that it comes to that. */
  readonly act: Act | null;
}

/** The crash windows of architecture.md, and those that issue 5 adds to them. */
export const WINDOWS = [
  "inside a SQLite commit",
  "delivery stored, 202 not sent",
  "stored by the forge, answer not heard",
  "spawned, not written down",
  "killed with its shim, no exit record",
  "pid given to somebody else",
  "half a directory, being made",
  "half a directory, leaving",
  "pushed, not written down",
  "borrowed objects gone from the forge",
] as const;
export type WindowName = (typeof WINDOWS)[number];

/** The steps that a storm brings about, and what people do to bring each about. */
export const STEPS: Readonly<Partial<Record<JobKind, Act | null>>> = {
  thread: "ask",
  command: "ask",
  admit: "crowd",
  publish: "summon",
  start: "summon",
  "run-started": "summon",
  "run-ended": "summon",
  collect: "summon",
  collected: "summon",
  push: "summon",
  pushed: "summon",
  draft: "summon",
  review: "summon",
  stop: "stop",
  "over-limit": "overrun",
  "log-cut": "flood",
  mark: "summon",
  seal: "close",
  sealed: "close",
  prune: "close",
  restore: "bring back",
  restored: "bring back",
  health: "stay",
  scrub: "destroy",
  scrubbed: "destroy",
  tail: "logs",
  tailed: "logs",
  "plan-checks": "summon",
  "checks-planned": "summon",
  check: "summon",
  "check-started": "summon",
  "check-ended": "summon",
  statuses: "summon",
  "take-in": "tell",
  "taken-in": "tell",
  answers: "request changes",
  proposal: "propose",
  card: "summon",
  react: "ask",
  comment: "ask",
};

const COMMENT = { method: /POST/, path: /\/issues\/\d+\/comments$/ };

/** Ways into a window; one is chosen each time. */
function waysInto(window: WindowName, dice: Dice): Aim[] {
  const way = (doom: Doom | null, act: Act | null, more: Partial<Aim> = {}): Aim => ({
    goal: window,
    doom,
    act,
    ...more,
  });
  const CELL = "[0-9a-f]{8}-[0-9a-f-]{27}";
  switch (window) {
    case "inside a SQLite commit":
      return [
        way(
          { at: "commit", nth: dice.between(2, 60), spins: dice.between(0, 300) },
          dice.pick(["ask", "summon", "close"]),
        ),
      ];
    case "delivery stored, 202 not sent":
      return [
        way({ at: "http.202", when: "before" }, "ask"),
        way({ at: "http.202", when: "before" }, "summon"),
      ];
    case "stored by the forge, answer not heard":
      return [
        way(null, "ask", { ambush: COMMENT }),
        way(null, "summon", { ambush: COMMENT }),
        way(null, "summon", { ambush: { method: /POST/, path: /\/pulls$/ } }),
        way(null, "summon", { ambush: { method: /PATCH/, path: /\/comments\/\d+$/ } }),
        way(null, "ask", { ambush: { method: /POST/, path: /\/reactions$/ } }),
        way(null, "summon", { ambush: { method: /POST/, path: /\/statuses\/[0-9a-f]+$/ } }),
        way(null, "request changes", { ambush: { method: /POST/, path: /\/reviews$/ } }),
      ];
    case "spawned, not written down":
      return [way({ at: "spawn", when: "lock", match: "lazarus-shim" }, "summon")];
    case "killed with its shim, no exit record":
      return [way(null, "stay", { also: "agents" })];
    case "pid given to somebody else":
      return [way(null, "stay", { also: "forge a handle" })];
    case "half a directory, being made":
      return [
        way({ at: "fs.rename", when: "before", match: `missions/\\.new-${CELL}",` }, "summon"),
        way({ at: "fs.rename", when: "before", match: "brief\\.md" }, "summon"),
        way({ at: "spawn", when: "after", match: '"clone"' }, "summon"),
        way({ at: "spawn", when: "exit", match: '"checkout"' }, "summon"),
      ];
    case "half a directory, leaving":
      return [
        way({ at: "fs.rename", when: "after", match: "\\.gone-" }, "destroy"),
        way({ at: "fs.rmdir", when: "after", match: "worktree" }, "destroy"),
      ];
    case "pushed, not written down":
      return [
        way({ at: "spawn", when: "exit", match: '"push"' }, "summon"),
        way(null, "summon", { ambush: { method: /POST/, path: /git-receive-pack$/ } }),
      ];
    case "borrowed objects gone from the forge":
      return [way(null, "stay elsewhere", { also: "rewrite the base" })];
    default:
      return window satisfies never;
  }
}

/** Children and files that are worth dying at, besides the windows: they belong to steps. */
function waysIntoStep(kind: JobKind, dice: Dice): Doom[] {
  const atOnce: Doom = { at: "step", kind, waitMs: 0 };
  const within: Doom = { at: "step", kind, waitMs: dice.between(1, 30) };
  switch (kind) {
    case "seal":
      return [
        within,
        { at: "spawn", when: "soon", match: '"--create"', waitMs: dice.between(0, 10) },
        { at: "fs.rename", when: dice.pick(["before", "after"]), match: "manifest\\.json" },
        { at: "fs.rename", when: "before", match: "cell\\.tar\\.gz" },
      ];
    case "prune":
      return [
        atOnce,
        within,
        { at: "fs.mkdir", when: "before", match: "/proc/self/fd/\\d+/(home|worktree)" },
      ];
    case "restore":
      return [
        atOnce,
        within,
        { at: "fs.mkdir", when: "after", match: "\\.restore" },
        { at: "fs.rename", when: dice.pick(["before", "after"]), match: "/(home|worktree)" },
      ];
    case "collect":
      return [within, { at: "spawn", when: "soon", match: "index-pack|bundle", waitMs: dice.between(0, 10) }];
    case "start":
      return [atOnce, within, { at: "spawn", when: "soon", match: '"fetch"', waitMs: dice.between(0, 20) }];
    case "push":
      return [atOnce, within, { at: "spawn", when: "soon", match: '"push"', waitMs: dice.between(0, 30) }];
    default:
      return [atOnce, atOnce, within];
  }
}

/** The ways into one step or crash window. */
export function aimAt(goal: string, dice: Dice): Aim {
  const window = WINDOWS.find((name) => name === goal);
  if (window !== undefined) return dice.pick(waysInto(window, dice));
  const kind = goal as JobKind;
  return { goal, doom: dice.pick(waysIntoStep(kind, dice)), act: STEPS[kind] ?? null };
}
