import { shortId } from "../../cells/cell.ts";
import { holdOf } from "../../cells/hold.ts";
import { timeUtc } from "../../commands/words/run-words.ts";
import { iso, jobData } from "../data.ts";
import type { Ask, Page } from "../deps.ts";
import { type Html, html, type Piece } from "../html.ts";
import {
  attemptsOf,
  findJob,
  findJobs,
  JOB_ROWS,
  type JobGroup,
  type JobsSeen,
  queueStates,
  type SeenJob,
  standingLanes,
} from "../read-jobs.ts";
import { ago, cellLink, facts, message, state, table, words } from "./pieces.ts";

const GROUPS: readonly JobGroup[] = ["ready", "scheduled", "running", "retrying", "dead"];

/** Jobs of cells whose repository one may write to; an operator sees all. */
export function jobsSeen({ viewer, sight }: Pick<Ask, "viewer" | "sight">): JobsSeen {
  const ids = [...sight.roles].filter(([, role]) => role !== "observer").map(([id]) => id);
  return { ids: JSON.stringify(ids), all: viewer.isOperator };
}

/** The job log: each queue, lanes that stand, and the jobs themselves. */
export const queue: Page = async (ask) => {
  const { d, place, query, viewer } = ask;
  const at = d.clock.now();
  const seen = jobsSeen(ask);
  const wanted = query.get("state") ?? "";
  const group = GROUPS.find((one) => one === wanted) ?? "open";
  const kind = (query.get("kind") ?? "").slice(0, 40) || null;
  const cell = (query.get("cell") ?? "").slice(0, 40) || null;
  const jobs = findJobs(d.db, seen, { group, kind, cell, now: at });
  const states = queueStates(d.db, seen, at);
  const lanes = standingLanes(d.db, seen, at);
  const link = (name: string) => place.link(`/queue${name === "" ? "" : `?state=${name}`}`);
  const held = holdOf(d.registry);
  const main = html`<h1>Queue</h1>
${
  states.length > 0 &&
  table(
    {
      caption: "Queues",
      isHidden: true,
      head: ["Queue", "Ready", "Scheduled", "Running", "Retrying", "Dead", "Oldest ready"],
    },
    states.map((one) => ({
      id: `q-${one.queue}`,
      cells: [
        one.queue,
        ...GROUPS.map(
          (name): Piece =>
            html`<a href="${link(name)}"${name === "dead" && one.dead > 0 ? html` class="bad"` : ""}>${one[name as "ready"]}</a>`,
        ),
        one.oldestReady === null ? "" : ago(one.oldestReady, at),
      ],
    })),
  )
}
${
  lanes.length > 0 &&
  html`<section aria-labelledby="lanes-h"><h2 id="lanes-h">Lanes that stand</h2><ul>${lanes.map(
    (one) =>
      html`<li><code>${words(one.lane, 80)}</code> waits for a retry at ${timeUtc(one.notBefore, at)}, ${one.behind} behind it${one.error === null ? "" : html`: <span dir="auto">${words(d.redact(one.error), 200)}</span>`}</li>`,
  )}</ul></section>`
}
<section aria-labelledby="jobs-h"><h2 id="jobs-h">Jobs</h2><nav class="tabs" aria-label="Jobs by state"><ul><li><a href="${link("")}"${group === "open" ? html` aria-current="true"` : ""}>all open</a></li>${GROUPS.map(
    (name) =>
      html`<li><a href="${link(name)}"${group === name ? html` aria-current="true"` : ""}>${name}</a></li>`,
  )}</ul></nav>
${jobs.length === 0 ? html`<p class="empty">${group === "open" ? "Nothing waits, nothing failed." : `No job is ${group}.`}</p>` : jobTable(ask, jobs, at)}
${jobs.length === JOB_ROWS && html`<p class="quiet">Only ${JOB_ROWS} are shown.</p>`}</section>
${
  viewer.isOperator &&
  html`<section aria-labelledby="hold-h"><h2 id="hold-h">All runs</h2><p>${
    held === null
      ? html`<a class="button" href="${place.link("/hold")}" data-dialog>Hold new runs</a>`
      : html`<a class="button" href="${place.link("/resume")}" data-dialog>Let runs start again</a>`
  }</p></section>`
}`;
  const data = () => ({
    queues: states.map(({ oldestReady, ...one }) => ({ ...one, oldest_ready_at: iso(oldestReady) })),
    lanes: lanes.map(({ notBefore, ...one }) => ({ ...one, not_before_at: iso(notBefore) })),
    jobs: jobs.map(jobData),
    held: held === null ? null : { by: held.who, why: held.why, at: iso(held.at) },
  });
  return { title: "Queue", main, isLive: true, data };
};

function groupOf(job: SeenJob, at: number): string {
  if (job.state !== "waiting") return job.state;
  return job.attempt > 0 ? "retrying" : job.notBefore > at ? "scheduled" : "ready";
}

const IN_WORDS: Readonly<Record<string, string>> = {
  ...{ card: "edit the card", start: "start a run", stop: "end a run", collect: "look at what a run left" },
  ...{
    publish: "publish",
    push: "push its branch",
    draft: "open or update its draft",
    seal: "seal",
    store: "hand its seal over",
    "let-go": "remove what it left on a runner",
    scrub: "destroy",
  },
  ...{
    restore: "bring back from the archive",
    prune: "empty",
    mark: "write its state down",
    review: "ask for a review",
  },
  ...{
    thread: "look at a thread",
    command: "run a command",
    react: "react to a comment",
    comment: "post a comment",
  },
  ...{
    admit: "check rights before a run",
    tail: "read a log",
    check: "run a check",
    "take-in": "take in what people pushed",
  },
};

function subject(ask: Ask, job: SeenJob): Html {
  return job.cellId === null ? html`<code>${words(job.lane, 60)}</code>` : cellLink({ id: job.cellId }, ask);
}

function jobTable(ask: Ask, jobs: readonly SeenJob[], at: number): Html {
  return table(
    {
      caption: "Jobs",
      isHidden: true,
      head: ["Job", "What", "Cell or lane", "State", "Tried", "Put", "Next", "Last error"],
    },
    jobs.map((job) => ({
      id: `job-${shortId(job.id)}`,
      cells: [
        html`<a href="${ask.place.link(`/queue/${job.id}`)}"><code>${shortId(job.id)}</code></a>`,
        IN_WORDS[job.kind] ?? job.kind,
        subject(ask, job),
        state(groupOf(job, at)),
        `${job.attempt - job.outages}/${job.maxAttempts}`,
        ago(job.putAt, at),
        job.state === "waiting" && job.notBefore > at ? ago(job.notBefore, at) : "",
        html`<span dir="auto">${job.inOutage ? "waits for the forge: " : ""}${words(ask.d.redact(job.error ?? ""), 160)}</span>`,
      ],
    })),
  );
}

/** One job: each attempt, and what can be done with it. */
export const job: Page = async (ask) => {
  const { d, params, place } = ask;
  const one = findJob(d.db, jobsSeen(ask), params.job ?? "");
  if (one === null)
    return message(
      404,
      "No such job",
      html`There is no job <code>${words(params.job ?? "", 40)}</code> here that you may see.`,
    );
  const at = d.clock.now();
  const attempts = attemptsOf(d.db, one.id);
  const may = mayChange(ask, one);
  const actions = [
    ...(one.state === "dead" ? ["retry"] : []),
    ...(one.state === "dead" || one.state === "waiting" ? ["drop"] : []),
  ];
  const main = html`<p class="crumb"><a href="${place.link("/queue")}">Queue</a> / <code>${shortId(one.id)}</code></p><h1>${IN_WORDS[one.kind] ?? one.kind}</h1>${facts(
    [
      ["state", state(groupOf(one, at))],
      ["cell or lane", subject(ask, one)],
      ["lane", html`<code>${words(one.lane, 100)}</code>`],
      ["queue", one.queue],
      ["kind", one.kind],
      [
        "tried",
        `${one.attempt - one.outages} of ${one.maxAttempts}${one.outages === 0 ? "" : `, and ${one.outages} times while the forge was away`}`,
      ],
      ["put", ago(one.putAt, at)],
      ["next", one.state === "waiting" ? ago(one.notBefore, at) : null],
      ["ended", one.endedAt === null ? null : ago(one.endedAt, at)],
      ["last error", html`<span dir="auto">${words(d.redact(one.error ?? ""), 1_000)}</span>`],
    ],
  )}
${may && actions.length > 0 && html`<ul class="actions">${actions.map((name) => html`<li><a class="button${name === "drop" ? " final" : ""}" href="${place.link(`/queue/${one.id}/${name}`)}" data-dialog>${name === "retry" ? "Try it again" : "Drop it"}</a></li>`)}</ul>`}
<h2>Attempts that failed</h2>${
    attempts.length === 0
      ? html`<p class="empty">None did.</p>`
      : table(
          { caption: "Attempts", isHidden: true, head: ["Try", "When", "What went wrong"] },
          attempts.map((try_) => ({
            id: `t-${try_.n}`,
            cells: [
              `${try_.n}`,
              ago(try_.at, at),
              html`<span dir="auto">${words(d.redact(try_.error), 1_000)}</span>`,
            ],
          })),
        )
  }`;
  const data = () => ({
    job: jobData(one),
    attempts: attempts.map(({ at: when, ...try_ }) => ({ ...try_, at: iso(when) })),
  });
  return { title: `Job ${shortId(one.id)}`, main, isLive: true, data };
};

/** Directors change jobs of their repositories' cells, operators all. */
export function mayChange({ d, viewer, sight }: Ask, one: SeenJob): boolean {
  if (viewer.isOperator) return true;
  const cell = one.cellId === null ? null : d.registry.cell(one.cellId);
  return cell !== null && sight.inCell(cell) === "director";
}
