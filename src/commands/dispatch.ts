import { type Cell, includesRole, type Role } from "../cells/cell.ts";
import { hasQuiet } from "../cells/quiet.ts";
import { explainToPeople, LazarusError } from "../errors.ts";
import type { Log } from "../log.ts";
import { count } from "../meter.ts";
import type { Asker } from "../protocol/asker.ts";
import type { JobPayload } from "../protocol/jobs.ts";
import type { Handlers, Job, JobContext } from "../queue/queue.ts";
import type { Db } from "../store/db.ts";
import { confirm, confirmed } from "./access/confirm-repository.ts";
import { detourOf } from "./access/delivery-branch.ts";
import { itemsToChange } from "./access/items-to-change.ts";
import { messagesToEnd } from "./access/messages-to-end.ts";
import { roleOnThread } from "./access/role-on-thread.ts";
import { lostRight, standingIn } from "./access/standing-in.ts";
import { type Answer, type Deps, type Origin, refuse } from "./command.ts";
import { verbNamed } from "./index.ts";
import { type AnswerDeps, answerRefusal, answerWith } from "./posting/answer.ts";
import { askerName, auditCommand, auditFailure, whereOf } from "./posting/audit-command.ts";
import { editedProposal } from "./proposals/edited-proposal.ts";
import { nameOf } from "./rights.ts";
import { replies } from "./words/replies.ts";

/**
 * After this long between reading a comment and running its command, it is looked for again: deleting it
 * withdraws it.
 */
const STALE_MS = 5_000;

export type DispatchDeps = Deps & { readonly db: Db; readonly log: Log };

/**
 * Handlers of `command`, `admit` and `publish` jobs: one command, one run that may leave the line, one tip
 * that may be pushed.
 */
export function createCommandHandlers(deps: DispatchDeps): Pick<Handlers, "command" | "admit" | "publish"> {
  return {
    publish: async (job) => {
      const cell = deps.registry.cell(job.payload.cellId);
      if (cell === null) return undefined;
      const place = await confirmed(cell.repository, deps);
      const detour = await detourOf(cell, place, deps);
      return () => {
        if (detour !== null) takeDetour(cell.id, detour, deps);
        deps.steps.push(job.payload);
      };
    },
    command: (job, context) => runCommand(job, context, deps),
    admit: (job) => admit(job.payload, deps),
  };
}

/** A draft into the branch takes the place of a push to it. */
function takeDetour(cellId: string, branch: string, deps: Pick<Deps, "registry" | "clock">): void {
  const { state, branch: straight } = deps.registry.mustCell(cellId);
  const why = `${straight} has become the default branch, or a protected one: a draft into it, from ${branch}`;
  deps.registry.update(cellId, { publishedBranch: branch });
  deps.registry.remember(cellId, { at: deps.clock.now(), from: state, to: state, who: "lazarus", why });
}

async function runCommand(job: Job<"command">, context: JobContext, deps: DispatchDeps) {
  const { payload } = job;
  const origin = originOf(job, context);
  const verb = verbNamed(payload.verb);
  if (verb === null) throw new LazarusError("internal", `no verb ${payload.verb}`);
  const isOld = job.attempt > 1 || deps.clock.now() - job.putAt > STALE_MS;
  if (isOld && (await isWithdrawn(payload.asker, deps))) return undefined;

  const isDeaf = payload.text !== null && verb.takesWords !== true && verb.isRaw !== true;
  const answer = isDeaf
    ? refuse("usage", replies.takesNoWords(verb.name))
    : await verb.run(payload, origin, deps);
  const role = await roleOf(origin, answer, deps);
  const answering = { hasRole: role !== null && includesRole(role, "executor") };
  return () => {
    answer.effects?.();
    if (answer.kind === "refused") answerRefusal(payload.asker, answer, deps, answering);
    if (answer.kind === "done") answerWith(payload.asker, answer, deps, answering);
    if (role === "director") wake(origin, answer, deps);
    sayAnswered(payload, answer, deps);
    if (!verb.isReadOnly || answer.kind === "refused") auditCommand(payload, answer, deps);
  };
}

/**
 * What somebody is on the thread where they typed. It is asked only where something follows from it: an
 * answer in words, or the end of a quiet.
 */
async function roleOf(
  { isOperator, thread, person }: Origin,
  answer: Answer,
  deps: Pick<DispatchDeps, "rights" | "registry" | "clock">,
): Promise<Role | null> {
  if (isOperator) return "director";
  // A page that asks for a new cell: nothing is quiet there.
  if (thread === null) return null;
  const isAnswered = answer.kind === "refused" || (answer.kind === "done" && answer.reply !== undefined);
  if (!isAnswered && !hasQuiet(thread, deps.registry)) return null;
  return roleOnThread(person, thread, deps);
}

/** A director was here: nothing is quiet for what was before. */
function wake({ thread }: Origin, answer: Answer, { goingOn, registry }: DispatchDeps): void {
  if (thread !== null) {
    goingOn.wake(thread);
    return;
  }
  const data = answer.kind === "done" ? answer.data : undefined;
  const id = typeof data === "object" && data !== null && "id" in data ? data.id : null;
  const cell = typeof id === "string" ? registry.cell(id) : null;
  if (cell !== null) goingOn.wakeCell(cell);
}

/** One line for each command: who, what, where, and what came of it. */
function sayAnswered(
  { asker, verb, words }: JobPayload<"command">,
  answer: Answer,
  { log }: Pick<DispatchDeps, "log">,
): void {
  const from = { who: askerName(asker), where: whereOf(asker) };
  count("commands_total", { verb, via: asker.via, result: answer.kind });
  const facts = { verb, ...(words.length === 0 ? {} : { words }), ...from };
  if (answer.kind === "refused") {
    count("refusals_total", { reason: answer.reason ?? answer.code });
    log.info({ ...facts, outcome: "refused", why: answer.reply.text }, "command refused");
    return;
  }
  const data = answer.kind === "done" ? answer.data : undefined;
  const cell = typeof data === "object" && data !== null && "id" in data ? { cell: data.id } : {};
  log.info({ ...facts, ...cell, outcome: "done" }, "command done");
}

function originOf(job: Job<"command">, context: JobContext): Origin {
  const { asker, issueHash } = job.payload;
  const common = { asker, issueHash, notes: job.notes, note: context.note };
  if (asker.via === "web") {
    const { person, thread } = asker;
    return { ...common, person, isOperator: person.id === null, thread, commentId: null };
  }
  if (asker.via === "cli") {
    return {
      ...common,
      person: { id: null, login: asker.operator },
      isOperator: true,
      thread: null,
      commentId: null,
    };
  }
  return {
    ...common,
    person: asker.person,
    isOperator: false,
    thread: { repository: asker.repository, number: asker.number },
    commentId: asker.source === "comment" ? asker.sourceId : null,
  };
}

async function isWithdrawn(asker: Asker, deps: Pick<Deps, "forge">): Promise<boolean> {
  if (asker.via !== "forge" || asker.source !== "comment") return false;
  return (await deps.forge.comment(nameOf(asker.repository), asker.sourceId)) === null;
}

async function isCommentGone(cell: Cell, deps: Pick<Deps, "forge">): Promise<boolean> {
  if (cell.askedInComment === null) return false;
  return (
    (await deps.forge.comment(nameOf(cell.asked?.repository ?? cell.repository), cell.askedInComment)) ===
    null
  );
}

/**
 * A run that waited in line starts only if its requester still may, and a new cell only if the comment that
 * asked for it is still there: not every server moves a thread when a comment is removed, so nobody else may
 * have noticed.
 */
async function admit(payload: JobPayload<"admit">, deps: DispatchDeps) {
  const { registry, lifecycle, steps } = deps;
  const cell = registry.cell(payload.cellId);
  const run = registry.run(payload.cellId, payload.run);
  if (cell === null || run === null || run.state !== "admitted") return undefined;
  await confirm(cell.repository, deps);
  const standing = await standingIn(registry.mustCell(cell.id), run.requester, deps);
  if (standing.kind === "unknowable") throw new LazarusError("forge-refused", standing.why);
  const needed = cell.state === "archived" || run.turnKind === "guest" ? "director" : "executor";
  const may = standing.role !== null && includesRole(standing.role, needed);
  const isGone = cell.state === "proposed" && (await isCommentGone(cell, deps));
  const edited = await editedProposal(cell, deps);
  const ended = await messagesToEnd(cell, deps);
  const changed = await itemsToChange(cell, deps);
  return () => {
    if (registry.run(cell.id, run.n)?.state !== "admitted") return;
    if (edited !== null) return edited();
    deps.telling.end(cell.id, ended);
    deps.reviewing.change(cell.id, changed);
    const now = registry.run(cell.id, run.n);
    const fresh = registry.cell(cell.id);
    if (now?.state !== "admitted" || fresh === null) return;
    if (isGone) {
      const who = run.requester.login;
      return lifecycle.withdraw(fresh, now, { who, why: replies.withdrawn(), outcome: "discarded" });
    }
    if (may) return steps.start(cell.id, run.n);
    const why = `not started: ${lostRight(run.requester.login, fresh, { over: standing.over, needed })}`;
    lifecycle.withdraw(fresh, now, { who: "lazarus", why, outcome: "declined" });
    // What others told or asked the agent is not to wait for that person.
    deps.telling.again(cell.id);
    deps.reviewing.again(cell.id);
    deps.inviting.again(cell.id);
  };
}

export interface DeathDeps extends AnswerDeps {
  /** Takes secrets out of what a failure says before it is kept and told. */
  redact(text: string): string;
}

/** Called in the transaction that gives a command up: whoever typed it hears why. */
export function commandDied(job: Job<"command">, error: unknown, deps: DeathDeps): void {
  auditFailure(job.payload, deps.redact(explainToPeople(error)), deps);
  const isForge = error instanceof LazarusError && error.code.startsWith("forge-");
  answerRefusal(
    job.payload.asker,
    {
      kind: "refused",
      code: "failed",
      reply: replies.deadJob(job.payload.verb, deps.redact(explainToPeople(error))),
    },
    deps,
    { hasRole: false, isFault: true, exitCode: isForge ? 5 : 1 },
  );
}

/** The same for a log that could not be read. */
export function tailDied(job: Job<"tail">, error: unknown, deps: DeathDeps): void {
  const reply = replies.deadJob("logs", deps.redact(explainToPeople(error)));
  answerRefusal(job.payload.asker, { kind: "refused", code: "failed", reply }, deps, { hasRole: true });
}
