import { type Run, targetOf } from "./cells/cell.ts";
import { EXITS } from "./cells/exit.ts";
import type { Registry } from "./cells/registry/registry.ts";
import type { Log } from "./log.ts";
import { count, took } from "./meter.ts";
import type { JobKind } from "./protocol/jobs.ts";
import { aboutShown } from "./protocol/shown-secret.ts";
import type { Handler, Handlers, Job } from "./queue/queue.ts";

interface FactDeps {
  readonly log: Log;
  readonly registry: Pick<Registry, "cell" | "run" | "history">;
}

type Teller<K extends JobKind> = (job: Job<K>, deps: FactDeps) => void;

/**
 * What an operator is told of a cell's life, one line a fact. Each is told in the transaction that makes it
 * true, after its effects. Commands are told by `commands/dispatch.ts`, failures by `queue/attempt.ts`, the
 * end of a process by the runner that saw it.
 */
const FACTS: { readonly [K in JobKind]?: Teller<K> } = {
  start({ payload: { cell, run, agent, isSetUp } }, { log }) {
    if (run !== 1 || isSetUp) return;
    const { target, requestedBy: who, branch, baseCommit: base } = cell;
    log.info({ cell: cell.id, target, agent, who, branch, base }, "cell made");
  },
  "setup-started"({ payload: { cellId, run, setup } }, deps) {
    const { command, source } = setup;
    deps.log.info({ ...ofRun(cellId, run, deps), command, source }, "cell is being set up");
  },
  "run-started"({ payload: { cellId, run } }, deps) {
    const begun = deps.registry.run(cellId, run);
    const cell = deps.registry.cell(cellId);
    if (run === 1 && begun?.startedAt != null && cell !== null)
      took("summon_start_seconds", (begun.startedAt - cell.createdAt) / 1000);
    deps.log.info(ofRun(cellId, run, deps), "run started");
  },
  "run-refused"({ payload: { cellId, run, why } }, deps) {
    deps.log.warn({ ...ofRun(cellId, run, deps), why }, "run could not be started");
  },
  "restore-refused"({ payload: { cellId, run, why } }, deps) {
    deps.log.warn({ ...ofRun(cellId, run, deps), why }, "cell could not be brought back");
  },
  restored({ payload: { cellId, run } }, deps) {
    deps.log.info(ofRun(cellId, run, deps), "cell brought back");
  },
  collected({ payload: { cellId, run, harvest } }, deps) {
    const ended = deps.registry.run(cellId, run);
    const { exitClass, exitWhy, exitSays, stopped } = ended ?? {};
    if (ended !== null) measureRun(ended);
    if (ended !== null && ended.refusedHosts.length > 0)
      count("egress_refused_total", { agent: ended.agent }, new Set(ended.refusedHosts).size);
    const outcome = exitClass == null ? null : EXITS[exitClass].words;
    const { forbidden, heldBack, protectedPaths, shownSecrets } = harvest;
    const held = [...forbidden, ...shownSecrets.map(aboutShown), ...heldBack, ...protectedPaths];
    const facts = {
      outcome,
      why: stopped ?? exitWhy ?? null,
      ...(exitSays == null ? {} : { says: exitSays }),
      commits: harvest.commitCount,
      files: harvest.files,
    };
    const more = held.length === 0 ? {} : { held_back: held };
    deps.log.info({ ...ofRun(cellId, run, deps), ...facts, ...more }, "run looked at");
  },
  pushed({ payload: { cellId, run, branch, tip } }, deps) {
    count("pushes_total", { result: "pushed" });
    deps.log.info({ ...ofRun(cellId, run, deps), branch, tip }, "branch pushed");
  },
  "push-refused"({ payload: { cellId, run, why } }, deps) {
    count("pushes_total", { result: "refused" });
    deps.log.warn({ ...ofRun(cellId, run, deps), why }, "push refused");
  },
  draft({ payload: { cellId } }, { log, registry }) {
    const cell = registry.cell(cellId);
    if (cell?.pullRequest == null) return;
    const draft = `${cell.pullRequestRepository ?? cell.repository.fullName}#${cell.pullRequest}`;
    count("drafts_total");
    log.info({ cell: cellId, draft }, "draft opened");
  },
  sealed({ payload: { cellId, bytes } }, deps) {
    count("seals_total");
    deps.log.info({ ...moved(cellId, deps), bytes }, "cell archived");
  },
  scrubbed({ payload: { cellId } }, deps) {
    deps.log.info(moved(cellId, deps), "cell destroyed");
  },
};

/** The same handlers, which tell the log what became of their jobs. */
export function tellingFacts(handlers: Handlers, deps: FactDeps): Handlers {
  const kinds = Object.keys(FACTS) as JobKind[];
  const told = kinds.flatMap((kind) => {
    const handler = handlers[kind] as Handler<JobKind> | undefined;
    return handler === undefined
      ? []
      : [[kind, telling(handler, FACTS[kind] as Teller<JobKind>, deps)] as const];
  });
  return { ...handlers, ...Object.fromEntries(told) };
}

function telling(handler: Handler<JobKind>, tell: Teller<JobKind>, deps: FactDeps): Handler<JobKind> {
  return async (job, context) => {
    const finish = await handler(job, context);
    if (finish === undefined) return undefined;
    return () => {
      finish();
      tell(job, deps);
    };
  };
}

function measureRun({ agent, exitClass, isAutomatic, startedAt, endedAt }: Run): void {
  count("runs_total", { agent, class: exitClass ?? "unknown", automatic: String(isAutomatic) });
  if (startedAt !== null && endedAt !== null)
    took("run_duration_seconds", (endedAt - startedAt) / 1000, { agent });
}

function ofRun(cellId: string, run: number, { registry }: FactDeps): object {
  const agent = registry.run(cellId, run)?.agent;
  const cell = registry.cell(cellId);
  return { cell: cellId, ...(cell === null ? {} : { target: targetOf(cell) }), run, agent };
}

function moved(cellId: string, { registry }: FactDeps): object {
  const last = registry.history(cellId).at(-1);
  return { cell: cellId, who: last?.who, why: last?.why };
}
