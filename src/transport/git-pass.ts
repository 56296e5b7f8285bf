import * as z from "zod";
import type { RunnerJob } from "../protocol/runner-port.ts";
import { isMark, markOf } from "./keys.ts";
import type { GitPass } from "./messages.ts";

/**
 * What a pass lets its runner do for a job that it has in hand: read one repository, or move one branch (or
 * where that is taken `<branch>-2`, `-3` …) of it to one tip. `tip` null: remove the branch, where it is at
 * `from`.
 */
const rights = z.object({
  runner: z.string(),
  row: z.string(),
  attempt: z.number(),
  repository: z.string(),
  use: z.enum(["read", "push"]),
  branch: z.string().optional(),
  tip: z.string().nullable().optional(),
  from: z.string().optional(),
  /** Epoch ms. */
  until: z.number(),
});
export type PassRights = z.infer<typeof rights>;

const PURPOSE = "git gate";
/** A job that takes longer is sent another. */
const LASTS_MS = 10 * 60_000;

function write(master: Uint8Array, what: PassRights): string {
  const body = Buffer.from(JSON.stringify(what)).toString("base64url");
  return `${body}.${markOf(master, PURPOSE, body)}`;
}

/** What a pass says, where it is one of ours; whether it still holds is for the caller to ask. */
export function readPass(master: Uint8Array, pass: string): PassRights | null {
  const [body = "", mark = "", ...more] = pass.split(".");
  if (more.length > 0 || !isMark(mark, markOf(master, PURPOSE, body))) return null;
  const parsed = rights.safeParse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
  return parsed.success ? parsed.data : null;
}

/** The passes that a job needs on its runner. `now`: epoch ms. */
export function passesOf(master: Uint8Array, runner: string, job: RunnerJob, now: number): GitPass[] {
  const { id: row, attempt, payload } = job;
  const about =
    "repository" in payload ? payload.repository : "cell" in payload ? payload.cell.repository : null;
  if (about === null) return [];
  const repository = about.fullName;
  const base = { runner, row, attempt, repository, until: now + LASTS_MS };
  const give = (more: Pick<PassRights, "use" | "branch" | "tip" | "from">): GitPass => ({
    ...{ use: more.use, repository, ...(more.branch === undefined ? {} : { branch: more.branch }) },
    pass: write(master, { ...base, ...more }),
  });
  const passes = [give({ use: "read" })];
  if (job.kind === "push") {
    const { branch, tip } = (job as RunnerJob<"push">).payload;
    passes.push(give({ use: "push", branch, tip }));
  }
  if (job.kind === "delete-branch") {
    const { branch, tip } = (job as RunnerJob<"delete-branch">).payload;
    passes.push(give({ use: "push", branch, tip: null, from: tip }));
  }
  return passes;
}

const NOTHING = /^0+$/;
const MOST_COMMAND_BYTES = 4 * 1024;

/**
 * Reads what a push asks for off the beginning of its body. `needs-more`: the end of the commands has not
 * come yet. `probe`: nothing is asked for, as git does before a large push.
 * @see gitprotocol-pack(5), "Reference Update Request"
 */
export function readPushCommands(
  bytes: Buffer,
):
  | { readonly kind: "needs-more" }
  | { readonly kind: "probe" }
  | { readonly kind: "one"; readonly from: string; readonly to: string; readonly ref: string }
  | { readonly kind: "refused"; readonly why: string } {
  const lines: string[] = [];
  for (let at = 0; ; ) {
    if (at + 4 > bytes.length) return tooLong(bytes) ?? { kind: "needs-more" };
    const size = bytes.toString("latin1", at, at + 4);
    if (size === "0000") break;
    const length = /^[0-9a-f]{4}$/.test(size) ? Number.parseInt(size, 16) : 0;
    if (length < 5) return { kind: "refused", why: "the push is not in git's protocol" };
    if (at + length > bytes.length) return tooLong(bytes) ?? { kind: "needs-more" };
    lines.push(bytes.toString("utf8", at + 4, at + length));
    at += length;
  }
  if (lines.length === 0) return { kind: "probe" };
  if (lines.length > 1)
    return { kind: "refused", why: "a push through the gate moves one branch, and nothing else" };
  const command = (lines[0] ?? "").split("\0")[0]?.replace(/\n$/, "") ?? "";
  const [, from, to, ref] = /^([0-9a-f]{40,64}) ([0-9a-f]{40,64}) (\S+)$/.exec(command) ?? [];
  if (from === undefined || to === undefined || ref === undefined)
    return { kind: "refused", why: "the push is not one command" };
  return { kind: "one", from, to, ref };
}

function tooLong(bytes: Buffer): { readonly kind: "refused"; readonly why: string } | null {
  return bytes.length > MOST_COMMAND_BYTES ? { kind: "refused", why: "the push names too much" } : null;
}

/** Why a pass does not allow a push; null: it does. */
export function whyNotPush(
  pass: PassRights,
  { from, to, ref }: { readonly from: string; readonly to: string; readonly ref: string },
): string | null {
  const { use, branch, tip } = pass;
  if (use !== "push" || branch === undefined || tip === undefined) return "this pass only reads";
  if (tip === null) {
    if (ref !== `refs/heads/${branch}` || !NOTHING.test(to) || from !== pass.from)
      return "this pass removes one branch, as it was pushed";
    return null;
  }
  const detour = ref.slice(`refs/heads/${branch}`.length);
  if (!ref.startsWith(`refs/heads/${branch}`) || !/^(-[1-9]\d?)?$/.test(detour))
    return `this pass is for the branch ${branch}`;
  if (NOTHING.test(to)) return "this pass removes no branch";
  return to === tip ? null : "this pass is for another commit";
}
