import type { JobPayload } from "../protocol/jobs.ts";
import type { SetupEnd } from "../protocol/shapes.ts";
import type { Setup } from "./cell.ts";

/** The first line of its command, cut: cards and tables have room for no more. */
export function shortCommand(setup: Pick<Setup, "command">): string {
  const [first = "", ...others] = setup.command.trim().split("\n");
  const isCut = first.length > WIDEST || others.length > 0;
  return isCut ? `${first.slice(0, WIDEST)}…` : first;
}

const WIDEST = 60;

/** A setup that ended with the run it was for, which somebody stopped. */
export function cutShort(setup: Setup, ended: JobPayload<"run-ended">): Setup {
  return {
    ...setup,
    end: {
      endedAt: ended.endedAt,
      code: null,
      signal: null,
      stopped: ended.stopped,
      tail: "",
      refusedHosts: ended.refusedHosts,
      leftovers: [],
      changed: [],
      untracked: [],
    },
  };
}

/** How a setup failed, in a few words. */
export function notSetUp(end: SetupEnd): string {
  return `not set up: ${howSetupEnded(end)}`;
}

/** `exit 1`, `over its limit of 5m`, `there is no such command (exit 127)`. */
export function howSetupEnded(end: SetupEnd): string {
  if (end.stopped !== null) return end.stopped;
  if (end.signal !== null) return `ended by signal ${end.signal}`;
  if (end.code === null) return "gone without an exit record";
  if (end.code === 127) return "a command was not found (exit 127)";
  if (end.code === 126) return "a command may not be run (exit 126)";
  return end.code === 0 ? "some of its processes could not be ended" : `exit ${end.code}`;
}
