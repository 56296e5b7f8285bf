import { shortId } from "../cells/cell.ts";
import { audit } from "../cells/registry/audit.ts";
import { sleep } from "../clock.ts";
import { readAnswer, type StoredAnswer } from "../commands/posting/answer.ts";
import { explainToPeople, LazarusError } from "../errors.ts";
import type { WebAsker } from "../protocol/asker.ts";
import { changeJob, JOB_ACTIONS } from "../queue/change-job.ts";
import type { Ask, Shown } from "./deps.ts";
import { html } from "./html.ts";
import { findOne } from "./pages/find-cell.ts";
import { message, words } from "./pages/pieces.ts";
import { jobsSeen } from "./pages/queue.ts";
import { findJob } from "./read-jobs.ts";
import { type Fields, hasChanged, seenOf, webVerb } from "./web-verbs.ts";

/** Somebody is sent there, or is shown why not. */
export type Acted = { readonly to: string } | Shown;

const WAIT_MS = 10_000;
const LOOK_MS = 40;
const ATTEMPTS = 2;
const MOST_WHY = 300;

interface Command {
  readonly verb: string;
  readonly words: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean>>;
  readonly text: string | null;
}

/**
 * Puts a command into the job log, as a comment would: the same rights, the same sentences. Answers what was
 * answered, or null where that takes longer than somebody looks at a page.
 */
async function ask(
  { d, viewer }: Ask,
  command: Command,
  by: { thread: WebAsker["thread"]; why: string | null },
): Promise<{ readonly request: string; readonly answer: StoredAnswer | null }> {
  const request = crypto.randomUUID();
  const asker: WebAsker = { via: "web", request, person: viewer.person, ...by };
  d.queue.put({
    kind: "command",
    key: `web:${request}`,
    lane: `web:${viewer.session.id.slice(0, 16)}`,
    maxAttempts: ATTEMPTS,
    payload: { asker, ...command, words: [...command.words], flags: { ...command.flags }, issueHash: null },
  });
  const end = d.clock.monotonic() + WAIT_MS;
  for (;;) {
    const answer = readAnswer(d.db, request);
    if (answer !== null || d.clock.monotonic() > end) return { request, answer };
    await sleep(d.clock, LOOK_MS);
  }
}

/** A verb on a cell: compared with what was seen, confirmed where it is final, then asked for. */
export async function actOnCell(look: Ask, fields: Fields): Promise<Acted> {
  const verb = webVerb(look.params.verb ?? "");
  if (verb === null) return message(404, "No such page", html`There is no such page.`);
  const found = findOne(look);
  if (!("cell" in found)) {
    refuse(
      look,
      {
        verb: `${verb.name} ${look.params.id ?? ""}`,
        subject: "dashboard",
        cell: null,
        reason: "no such cell",
      },
      fields,
    );
    return found;
  }
  const { cell } = found;
  const at = { cell, run: look.d.registry.lastRun(cell.id) };
  const back = html` <a href="${look.place.link(`/cells/${cell.id}`)}">To the cell</a>`;
  const no = (reason: string, text: ReturnType<typeof html>): Shown => {
    refuse(
      look,
      { verb: `${verb.name} ${shortId(cell.id)}`, subject: "dashboard", cell: cell.id, reason },
      fields,
    );
    return {
      status: 409,
      title: verb.label,
      main: html`<h1>${verb.label}</h1><p role="alert">${text}${back}</p>`,
    };
  };
  if (fields.seen !== seenOf(at) || !verb.fits(at))
    return no("it was seen otherwise", hasChanged(at, verb.name));
  if (verb.isFinal === true && fields.confirm !== shortId(cell.id))
    return no(
      "it was not confirmed",
      html`Type <code>${shortId(cell.id)}</code> to confirm; nothing was done.`,
    );
  const thread = { repository: cell.repository, number: cell.number };
  const command = { verb: verb.name, ...verb.command(at, fields) };
  const { request } = await ask(look, command, { thread, why: whyOf(fields) });
  return { to: `/cells/${cell.id}?answer=${request}` };
}

/** `hold` and `resume`. */
export async function actOnAll(look: Ask, verb: "hold" | "resume", fields: Fields): Promise<Acted> {
  const why = whyOf(fields);
  const said = why === null || verb === "resume" ? [] : why.split(/\s+/);
  const { answer } = await ask(look, { verb, words: said, flags: {}, text: null }, { thread: null, why });
  return answer?.exitCode === 0 ? { to: "/queue" } : notDone(verb, answer);
}

/** A new cell. */
export async function summon(look: Ask, fields: Fields): Promise<Acted> {
  const text = (fields.words ?? "").trim();
  const command = {
    verb: "summon",
    words: [fields.agent ?? "", fields.target ?? ""].map((word) => word.trim()),
    ...{ flags: {}, text: text === "" ? null : text },
  };
  const { request, answer } = await ask(look, command, { thread: null, why: null });
  const data = answer?.exitCode === 0 ? answer.data : null;
  const id = typeof data === "object" && data !== null && "id" in data ? data.id : null;
  return typeof id === "string" ? { to: `/cells/${id}?answer=${request}` } : notDone("summon", answer);
}

function notDone(verb: string, answer: StoredAnswer | null): Shown {
  const text = answer === null ? "It is being done; it takes longer than usual." : answer.text;
  return message(
    answer === null ? 202 : 409,
    verb,
    html`${text.split("\n").map((line) => html`${words(line, 500)}<br>`)}`,
  );
}

/** Trying a job again, or dropping it; the forge is asked now. */
export async function actOnJob(look: Ask, fields: Fields): Promise<Acted> {
  const { d, params, viewer, sight } = look;
  const action = JOB_ACTIONS.find((one) => one === params.action);
  const job = action === undefined ? null : findJob(d.db, jobsSeen(look), params.job ?? "");
  const cell = job?.cellId == null ? null : d.registry.cell(job.cellId);
  const may = viewer.isOperator || (cell !== null && (await sight.live(cell)) === "director");
  const subject = `job ${words(params.job ?? "", 8)}`;
  if (action === undefined || job === null || !may) {
    refuse(
      look,
      { verb: `jobs ${words(params.action ?? "", 20)}`, subject, cell: null, reason: "no such job" },
      fields,
    );
    return message(
      404,
      "No such job",
      html`There is no job <code>${words(params.job ?? "", 40)}</code> here that you may change.`,
    );
  }
  const entry = { verb: `jobs ${action}`, subject: `${subject} (${job.kind})`, cell: job.cellId };
  try {
    d.db.transaction(() => {
      changeJob(d.queue, action, job);
      write(look, { ...entry, result: "done", reason: null }, fields);
    });
    return { to: `/queue/${job.id}` };
  } catch (error) {
    if (!(error instanceof LazarusError)) throw error;
    refuse(look, { ...entry, reason: explainToPeople(error) }, fields);
    return message(409, "Not done", words(explainToPeople(error), 300));
  }
}

interface Entry {
  readonly verb: string;
  readonly subject: string;
  readonly cell: string | null;
  readonly result: "done" | "refused";
  readonly reason: string | null;
}

function refuse(look: Ask, entry: Omit<Entry, "result"> & { reason: string }, fields: Fields): void {
  write(look, { ...entry, verb: words(entry.verb, 100), result: "refused" }, fields);
}

function write({ d, viewer }: Ask, entry: Entry, fields: Fields): void {
  const { id, login } = viewer.person;
  audit(d.db).add({ ...entry, at: d.clock.now(), who: login, whoId: id, via: "web", why: whyOf(fields) });
}

function whyOf({ why = "" }: Fields): string | null {
  const text = words(why, MOST_WHY);
  return text === "" ? null : text;
}
