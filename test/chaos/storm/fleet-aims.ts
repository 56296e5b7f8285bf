import { JOBS, type JobKind } from "../../../src/protocol/jobs.ts";
import { type Aim, aimAt, type Doom, STEPS, WINDOWS } from "./aims.ts";
import type { Dice } from "./dice.ts";
import type { Act } from "./people.ts";

/** The crash windows between control and its runners (scale.md 1.3). */
const CONTROL_ONLY = [
  "job written, not sent to its runner",
  "answer of a runner heard, not committed",
  "answer committed, its runner not told",
] as const;
const RUNNER_ONLY = [
  "job heard by its runner, not begun",
  "job done, its runner has not said so",
  "job done and said, not forgotten",
  "end of a run seen, not reported",
] as const;
export const FLEET_WINDOWS = [...CONTROL_ONLY, ...RUNNER_ONLY] as const;
export type FleetWindow = (typeof FLEET_WINDOWS)[number];

/** Windows that a runner falls into by what it does with disk, children and git. */
const ON_DISK = [
  "spawned, not written down",
  "half a directory, being made",
  "half a directory, leaving",
  "pushed, not written down",
] as const;

/** Whether jobs of a kind are worked off by runners. */
export const isOfRunners = (kind: string) => JOBS[kind as JobKind].queue === "cells";
const KINDS = Object.keys(STEPS);

export const CONTROL_GOALS: readonly string[] = [
  ...CONTROL_ONLY,
  ...WINDOWS.filter((name) => !ON_DISK.some((one) => one === name)),
  ...KINDS.filter((kind) => !isOfRunners(kind)),
];
export const RUNNER_GOALS: readonly string[] = [...RUNNER_ONLY, ...ON_DISK, ...KINDS.filter(isOfRunners)];

const ACTS: readonly Act[] = ["summon", "summon", "team", "tell", "request changes", "close", "bring back"];

export function aimAtControl(goal: string, dice: Dice): Aim {
  const window = CONTROL_ONLY.find((name) => name === goal);
  return window === undefined
    ? aimAt(goal, dice)
    : { goal, doom: doomOf(window, dice), act: dice.pick(ACTS) };
}

export function aimAtRunner(goal: string, dice: Dice): Aim {
  const window = RUNNER_ONLY.find((name) => name === goal);
  if (window !== undefined) return { goal, doom: doomOf(window, dice), act: dice.pick(ACTS) };
  for (;;) {
    const aim = aimAt(goal, dice);
    // A proxy stands before control alone.
    if (aim.ambush !== undefined) continue;
    return aim.doom?.at === "step" ? { ...aim, doom: atWork(aim.doom) } : aim;
  }
}

/** A runner claims nothing: it hears what it is to do. */
function atWork({ kind, waitMs }: Extract<Doom, { at: "step" }>): Doom {
  return { at: "say", when: "hearing", match: `^{"say":"do".*"kind":"${kind}"`, waitMs };
}

function doomOf(window: FleetWindow, dice: Dice): Doom {
  const at = (when: "saying" | "hearing", match: string, waitMs = 0): Doom => ({
    ...{ at: "say", when, match: `^{"say":"${match}`, waitMs },
  });
  switch (window) {
    case "job written, not sent to its runner":
      return at("saying", "do");
    case "answer of a runner heard, not committed":
      return at("hearing", "done");
    case "answer committed, its runner not told":
      return at("saying", dice.pick(['forget","done":\\[{', 'forget","done":\\[\\],"reports":\\["']));
    case "job heard by its runner, not begun":
      return at("hearing", "do");
    case "job done, its runner has not said so":
      return at("saying", "done");
    case "job done and said, not forgotten":
      return at("hearing", 'forget","done":\\[{');
    case "end of a run seen, not reported":
      return at("saying", 'report".*"kind":"(run|check)-ended');
    default:
      return window satisfies never;
  }
}
