import type { Surroundings } from "../backend.ts";
import { CHILD_SHIM, shellNoise, shimLimits } from "../os/shim.ts";
import { asUser, countsProcessesPerNamespace } from "../os/user.ts";
import { bwrapArguments, FILE_FDS, madeUpFiles, NODE_INSIDE, type SandboxPlan } from "./bwrap-args.ts";
import { forwardsOf } from "./gate-rules.ts";
import { relayText } from "./relay.ts";

/**
 * Around bubblewrap: three texts go to file descriptors that it copies from, then the rest of the words is run. Outside, as Lazarus, before the user changes.
 */
const OUTSIDE = `
exec ${FILE_FDS.map((fd) => `${fd}<<LAZARUS_${fd}`).join(" ")}
${FILE_FDS.map((fd, at) => `$${at + 1}\nLAZARUS_${fd}`).join("\n")}
shift ${FILE_FDS.length}
exec "$@"
`;

/**
 * First inside: `$1` file for standard input, `$2` Node for the relay, `$3` the relay (each may be empty), then the words of the children's
 * shim. Opened here, a brief cannot be written through /proc: its mount is read-only. Leaves with 73 where it could not begin.
 */
const INSIDE = `
if [ -n "$2" ]; then
  lzs_ready=$(exec env -i "$2" -e "$3" </dev/null 2>/dev/null &)
  [ "$lzs_ready" = ready ] || { echo 'lazarus: the relay to the listed hosts did not start, the agent was not started' >&2; exit 73; }
fi
if [ -n "$1" ]; then exec <"$1" || exit 73; fi
shift 3
${CHILD_SHIM}`;

export interface SandboxedCommand {
  readonly bwrap: string;
  readonly plan: SandboxPlan;
  readonly around: Surroundings;
  /** Opened inside; null: standard input is what it was outside. */
  readonly inputPath: string | null;
  /** Resolved. */
  readonly command: readonly string[];
  /** More for bubblewrap itself. */
  readonly options: readonly string[];
}

/**
 * A command and all that is put around it, as words for `sh -c`: the made-up files, the user, the namespaces, the limits. Limits are set inside: bubblewrap and the
 * relay are ours, and processes are counted there.
 * @throws LazarusError `backend` where the cell's user cannot be had.
 */
export function sandboxWords(sandboxed: SandboxedCommand): string[] {
  const { bwrap, plan, around, inputPath, command, options } = sandboxed;
  const counted = around.user !== null || countsProcessesPerNamespace();
  const hosts = typeof plan.network === "string" ? [] : plan.network;
  const relay = plan.gate === null ? ["", ""] : [NODE_INSIDE, relayText(forwardsOf(hosts))];
  const inner = [
    ...["/bin/sh", "-c", INSIDE, "lazarus-inside", inputPath ?? "", ...relay],
    ...[shimLimits(around.limits, counted), shellNoise(around.env)],
    ...command,
  ];
  return [
    ...[OUTSIDE, "lazarus-sandbox", ...madeUpFiles(plan)],
    ...asUser(around.user, [bwrap, ...options, ...bwrapArguments(plan), "--", ...inner]),
  ];
}
