import { shortId, targetOf } from "../../cells/cell.ts";
import { holdOf } from "../../cells/hold.ts";
import { replies } from "../../commands/words/replies.ts";
import { JOB_ACTIONS } from "../../queue/change-job.ts";
import { type Ask, isEnough, type Page, type Shown } from "../deps.ts";
import { type Html, html } from "../html.ts";
import { findJob } from "../read-jobs.ts";
import { showMarkdown } from "../show-markdown.ts";
import { hasChanged, seenOf, type WebVerb, webVerb } from "../web-verbs.ts";
import { type Found, findOne } from "./find-cell.ts";
import { message, words } from "./pieces.ts";
import { jobsSeen, mayChange } from "./queue.ts";

/** A verb's form: what will happen, with what is known now, and a button that does it. */
export const confirmVerb: Page = async (ask) => {
  const verb = webVerb(ask.params.verb ?? "");
  if (verb === null) return message(404, "No such page", html`There is no such page.`);
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const at = { cell: found.cell, run: ask.d.registry.lastRun(found.cell.id) };
  if (!verb.fits(at))
    return {
      status: 409,
      title: verb.label,
      main: html`${crumb(ask, found)}<h1>${verb.label}</h1><p>${hasChanged(at, verb.name)}</p>`,
    };
  const refusal = await lacks(ask, found, verb);
  if (refusal !== null) return refusal;
  const { cell } = found;
  const main = html`${crumb(ask, found)}<h1>${verb.label}: <code>${shortId(cell.id)}</code></h1><p class="target">${targetOf(cell)} <span dir="auto">${words(cell.title, 200)}</span></p>
${verb.says(at)}<form method="post" action="${ask.place.link(`/cells/${cell.id}/${verb.name}`)}"><input type="hidden" name="seen" value="${seenOf(at)}">${verb.fields?.(at)}
${verb.isFinal === true && html`<p><label>Type <code>${shortId(cell.id)}</code> to confirm <input name="confirm" required pattern="${shortId(cell.id)}" autocomplete="off" maxlength="8"></label></p>`}
${verb.name !== "tell" && html`<p><label>Why (may be empty) <input name="why" maxlength="300"></label></p>`}
<p><button class="${verb.isFinal === true ? "final" : "main"}">${verb.label}</button> <a href="${ask.place.link(`/cells/${cell.id}`)}" data-close>Leave it</a></p></form>`;
  return { title: `${verb.label} ${shortId(cell.id)}`, main };
};

function crumb({ place }: Ask, { cell }: Found): Html {
  return html`<p class="crumb"><a href="${place.link("/cells")}">Cells</a> / <a href="${place.link(`/cells/${cell.id}`)}"><code>${shortId(cell.id)}</code></a></p>`;
}

/** The very sentence of the command, with the people who can; null: one may. The forge is asked now. */
async function lacks(ask: Ask, { cell }: Found, verb: WebVerb): Promise<Shown | null> {
  const { d, viewer, sight } = ask;
  const needed = verb.role({ cell, run: d.registry.lastRun(cell.id) });
  if (isEnough(await sight.live(cell), needed)) return null;
  const standing = await d.rights.standing(viewer.person, cell.repository);
  const said =
    standing.kind === "unknowable"
      ? replies.unknowable(standing.why)
      : replies.lacksPermission(verb.name, {
          login: viewer.person.login,
          permission: standing.permission,
          needs: needed === "director" ? "a director (admin rights)" : "write",
          fullName: cell.repository.fullName,
          people: await d.rights.peopleWho(needed === "director" ? "director" : "write", cell.repository),
        });
  return {
    status: 403,
    title: "Not for you",
    main: html`<h1>Not for you</h1><p>${showMarkdown(said.markdown)}</p>`,
  };
}

/** Trying a job again, or dropping it. */
export const confirmJob: Page = async (ask) => {
  const { d, params, place } = ask;
  const action = JOB_ACTIONS.find((one) => one === params.action);
  const job = action === undefined ? null : findJob(d.db, jobsSeen(ask), params.job ?? "");
  if (action === undefined || job === null || !mayChange(ask, job))
    return message(
      404,
      "No such job",
      html`There is no job <code>${words(params.job ?? "", 40)}</code> here that you may change.`,
    );
  const says =
    action === "retry"
      ? "It is tried again, as if for the first time."
      : "It is never done. What it was to do stays undone.";
  const main = html`<h1>${action === "retry" ? "Try it again" : "Drop it"}: <code>${shortId(job.id)}</code></h1><p>${job.kind}. ${says}</p>
<form method="post" action="${place.link(`/queue/${job.id}/${action}`)}"><input type="hidden" name="seen" value="${job.state}"><p><label>Why (may be empty) <input name="why" maxlength="300"></label></p>
<p><button class="${action === "drop" ? "final" : "main"}">${action === "retry" ? "Try it again" : "Drop it"}</button> <a href="${place.link(`/queue/${job.id}`)}" data-close>Leave it</a></p></form>`;
  return { title: `${action} ${shortId(job.id)}`, main };
};

/** Hold and resume. */
export const confirmWide: Page = async ({ d, path, place, viewer }) => {
  const verb = path.startsWith("/hold") ? "hold" : "resume";
  if (!viewer.isOperator)
    return {
      status: 403,
      title: "Not for you",
      main: html`<h1>Not for you</h1><p>${showMarkdown(replies.notOperator(verb, viewer.person.login).markdown)}</p>`,
    };
  const hold = holdOf(d.registry);
  const running = d.registry.openRuns(["admitted", "running"]).length;
  const main =
    verb === "hold"
      ? html`<h1>Hold new runs</h1><p>No new run starts until somebody lets them. ${running} ${running === 1 ? "run goes" : "runs go"} on.</p><form method="post" action="${place.link("/hold")}"><p><label>Why <input name="why" maxlength="300"></label></p><p><button class="main">Hold new runs</button> <a href="${place.link("/queue")}" data-close>Leave it</a></p></form>`
      : html`<h1>Let runs start again</h1><p>${hold === null ? "Nothing is held." : `Held by ${hold.who}${hold.why === "" ? "" : `: ${hold.why}`}.`} ${d.registry.openRuns(["waiting"]).length} wait in line.</p><form method="post" action="${place.link("/resume")}"><p><button class="main">Let runs start again</button> <a href="${place.link("/queue")}" data-close>Leave it</a></p></form>`;
  return { title: verb, main };
};

/** A new cell. */
export const summon: Page = async ({ d, query, place }) => {
  const agents = [...d.config.agents.values()].filter((one) => one.unavailable === null);
  const main = html`<h1>Summon</h1><p>An agent gets a cell of its own and works on an issue or pull request. You need write permission there; the forge is asked when the form comes.</p>
<form method="post" action="${place.link("/summon")}"><p><label>Target <input name="target" required maxlength="200" placeholder="owner/repo#262" value="${words(query.get("target") ?? "", 200)}"></label></p>
<p><label>Agent <select name="agent">${agents.map((one) => html`<option>${one.name}</option>`)}</select></label></p>
<p><label for="words">Words for the agent (may be empty)</label><textarea id="words" name="words" rows="5" maxlength="16000"></textarea></p><p><button class="main">Summon</button></p></form>`;
  return { title: "Summon", main };
};
