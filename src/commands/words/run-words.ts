import type { Run } from "../../cells/cell.ts";
import { toIso } from "../../clock.ts";
import type { AgentConfig } from "../../config/config.ts";

type EndedRun = Pick<
  Run,
  | "code"
  | "signal"
  | "stopped"
  | "stopCause"
  | "startedAt"
  | "endedAt"
  | "exitClass"
  | "exitWhy"
  | "exitSays"
  | "resetsAt"
>;

/**
 * How a run ended: `exit 3 after 2 s`, `stopped by dev`, `killed after 2 h: the machine ran out of memory`.
 */
export function endOfRun(run: EndedRun): string {
  const took =
    run.startedAt === null || run.endedAt === null ? "" : ` after ${span(run.endedAt - run.startedAt)}`;
  if (run.stopped !== null) return `${run.stopped}${took}`;
  if (run.exitClass === "lost") return `gone${took}: it left no exit record`;
  if (run.exitClass === "machine") return `killed${took}: ${run.exitWhy}`;
  if (run.signal !== null) return `ended by signal ${run.signal}${took}`;
  if (run.code === null) return `killed by the machine or by an administrator${took}: it left no exit record`;
  return `exit ${run.code}${took}`;
}

/** `2026-12-05 14:30 UTC`. */
export function moment(at: number): string {
  return `${toIso(at).slice(0, 16).replace("T", " ")} UTC`;
}

/** `5 December`, in UTC. */
export function day(at: number): string {
  return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "long", timeZone: "UTC" });
}

/** What a run turned out to be, where that says more than how it ended; null where it does not. */
export function meaningOfExit(run: EndedRun): string | null {
  switch (run.exitClass) {
    case "quota":
    case "not-logged-in":
    case "no-credit":
      return run.exitSays === null ? null : `it says: ${run.exitSays}`;
    case "over-limit":
      return run.stopCause === "over-limit" ? null : `it came to a limit: ${run.exitWhy}`;
    case "crashed":
      return run.exitSays === null ? null : `its last event: ${run.exitWhy}: ${run.exitSays}`;
    default:
      return null;
  }
}

/** `14:30 UTC`, with its day where that is not the day of `now`; both epoch ms. */
export function timeUtc(at: number, now: number): string {
  const [day, today] = [at, now].map((one) => new Date(one).toISOString().slice(0, 10));
  const time = `${new Date(at).toISOString().slice(11, 16)} UTC`;
  return day === today ? time : `${day} ${time}`;
}

/** `45 s`, `12 min`, `4 h`, `3 d`: the larger unit, rounded down, as cards say it. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d`;
}

/** What holds an agent, in a few words. */
export function confines(agent: Pick<AgentConfig, "backend" | "network"> | undefined): string {
  if (agent === undefined) return "no longer configured";
  if (agent.backend === "process") return "process, not isolated";
  if (typeof agent.network !== "string") return `${agent.backend}, network: ${agent.network.join(", ")}`;
  return `${agent.backend}, ${agent.network === "none" ? "no network" : "full network"}`;
}
