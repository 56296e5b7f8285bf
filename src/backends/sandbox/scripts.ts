import type { Surroundings } from "../backend.ts";
import { execText, nulSeparated, quoted, type ShellText } from "../os/shell-text.ts";
import { childLines, shellNoise, shimLimits } from "../os/shim.ts";
import { asUser, countsProcessesPerNamespace } from "../os/user.ts";
import {
  ARGS_FD,
  BEGIN_INSIDE,
  bwrapArguments,
  FILTER_FD,
  madeUpFiles,
  NODE_INSIDE,
  type SandboxPlan,
} from "./bwrap-args.ts";
import { forwardsOf } from "./gate-rules.ts";
import { relayText } from "./relay.ts";
import { seccompProgram } from "./seccomp.ts";

/**
 * First inside: the relay, then standard input, opened here so that a brief cannot be written through /proc
 * (its mount is read-only), then limits and the agent. Leaves with 73 where it could not begin. The relay's
 * text comes to Node by its standard input, and no list of arguments has it.
 */
function insideText(plan: SandboxPlan, inputPath: string | null, lines: string): string {
  const hosts = typeof plan.network === "string" ? [] : plan.network;
  const relay = `
lzs_ready=$(exec env -i ${NODE_INSIDE} - lazarus-relay 2>/dev/null <<'LAZARUS_RELAY' &
${relayText(forwardsOf(hosts))}
LAZARUS_RELAY
)
[ "$lzs_ready" = ready ] || { echo 'lazarus: the relay to the listed hosts did not start, the agent was not started' >&2; exit 73; }`;
  return [
    ...(plan.gate === null ? [] : [relay]),
    ...(inputPath === null ? [] : [`exec <${quoted(inputPath)} || exit 73`]),
    lines,
  ].join("\n");
}

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
 * A command and all that is put around it: the made-up files, the user, the namespaces, the limits. Limits
 * are set inside: bubblewrap and the relay are ours, and processes are counted there.
 * @throws LazarusError `backend` where the cell's user cannot be had.
 */
export function sandboxText(sandboxed: SandboxedCommand): ShellText {
  const { bwrap, plan, around, inputPath, command, options } = sandboxed;
  const counted = around.user !== null || countsProcessesPerNamespace();
  const facts = { limits: shimLimits(around.limits, counted), unset: shellNoise(around.env) };
  const inside = insideText(plan, inputPath, childLines(facts, execText(command).text));
  const filter = seccompProgram();
  const filtered = filter === null ? [] : ["--seccomp", String(FILTER_FD)];
  const args = nulSeparated([...options, ...filtered, ...bwrapArguments(plan)]);
  const files = madeUpFiles(plan).map((text) => `${text}\n`);
  const { text } = execText(
    asUser(around.user, [bwrap, "--args", String(ARGS_FD), "--", "/bin/sh", BEGIN_INSIDE]),
  );
  return { text, data: [args, inside, ...files, ...(filter === null ? [] : [filter])] };
}
