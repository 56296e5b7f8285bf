import type { Announcement } from "../../cells/announcement.ts";
import { type Cell, shortId } from "../../cells/cell.ts";
import { isIn } from "../../cells/registry/is-in.ts";
import { heldFor } from "../../cells/steps/decide.ts";
import { code, join, type Markdown, md, mention, quote } from "../../gitea/markdown.ts";
import type { Queue } from "../../queue/queue.ts";
import { restWords, wakingCommand } from "../words/budget-words.ts";
import { asSentence } from "../words/card-findings.ts";
import { needOf, published } from "../words/card-headline.ts";
import { visitReport } from "../words/guest-words.ts";
import { cannotPublish } from "../words/held-back.ts";
import { day, endOfRun, meaningOfExit } from "../words/run-words.ts";
import { react, replyJob } from "./answer.ts";
import { type UnaskedDeps, writeUnasked } from "./unasked.ts";

/**
 * Turns what people must hear of into comments, each said once: the closing report, what a person is needed
 * for, what was asked for and came to nothing. They name who asked. A summon's comment learns by its reaction
 * what became of it.
 */
export function createAnnouncer(
  deps: UnaskedDeps & { readonly queue: Queue },
): (announcement: Announcement) => void {
  /** `isAsked`: a person did what it is about, and waits for it. */
  const say = (cell: Cell, marker: string, body: Markdown, isAsked: boolean) => {
    const job = replyJob({ repository: cell.repository, number: cell.number, marker, body });
    if (isAsked) deps.queue.put(job);
    else writeUnasked(job, deps);
  };
  return (one) => {
    if (one.kind === "told" || one.kind === "untold") {
      const word = one.kind === "told" ? "rocket" : "confused";
      if (one.asker.via === "forge") react(one.asker, word, deps);
      return;
    }
    const { cell } = one;
    switch (one.kind) {
      case "begun":
        if (cell.asked !== null) react(cell.asked, "rocket", deps);
        return;
      case "never-began":
        if (cell.asked !== null) react(cell.asked, "confused", deps);
        if (one.isNews) writeUnasked(replyJob({ ...placeOf(cell), ...neverBegan(one) }), deps);
        return;
      case "not-closed":
        return say(cell, `not-closed:${cell.id}:${one.n}`, notClosed(one), true);
      case "closed":
        return say(cell, `closed:${cell.id}:${cell.sealedAt ?? 0}`, closed(one), one.person !== null);
      case "visited": {
        const number = isIn(cell, cell.repository) ? (cell.pullRequest ?? cell.number) : cell.number;
        const marker = `report:${cell.id}:${one.run.n}`;
        const body = visitReport(one);
        return void deps.queue.put(replyJob({ repository: cell.repository, number, marker, body }));
      }
      case "needs-you":
        return say(cell, `needs-you:${cell.id}:${one.run.n}`, needsYou(one), false);
      case "rests":
        return say(cell, `rests:${cell.id}:${one.run.n}:${one.rest.kind}`, rests(one), false);
      default:
        one satisfies never;
    }
  };
}

/** Where somebody waits to hear of a cell: where they typed, else where its card is. */
function placeOf({ asked, repository, number }: Cell) {
  return asked === null ? { repository, number } : { repository: asked.repository, number: asked.number };
}

function neverBegan({ cell, why }: Extract<Announcement, { kind: "never-began" }>) {
  const asked = cell.requester.id === null ? md`Cell` : md`${mention(cell.requester.login)}: cell`;
  const what =
    cell.outcome === "failed"
      ? md`could not be made: ${withStop(why)} ${code(`/lazarus summon ${cell.agent}`)} tries it anew.`
      : md`did not begin: ${withStop(why)}`;
  return { marker: `never-began:${cell.id}`, body: md`${asked} ${code(shortId(cell.id))} ${what}` };
}

function notClosed({ cell, person, why }: Extract<Announcement, { kind: "not-closed" }>): Markdown {
  const held = heldFor(cell);
  const name = mention(person);
  if (held.length > 0) return md`${name}: ${cannotPublish(cell, held).markdown}`;
  return md`${name}: cell ${code(shortId(cell.id))} was not closed: ${withStop(why)} ${code(`/lazarus close ${shortId(cell.id)} --discard`)} closes it without publishing; its seal keeps the work.`;
}

function rests({ cell, run, rest }: Extract<Announcement, { kind: "rests" }>): Markdown {
  const asked = run.requester.id === null ? md`Cell` : md`${mention(run.requester.login)}: cell`;
  const isAtRest = run.exitClass === "done" || run.exitClass === "nothing-changed";
  const what = `${run.agent} ${isAtRest ? "rests" : `stopped (${endOfRun(run)})`}`;
  return md`${asked} ${code(shortId(cell.id))} needs you: ${what}. ${asSentence(restWords(rest))} ${code(`/lazarus ${wakingCommand(cell, rest)}`)} lets it go on (directors).`;
}

function withStop(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function closed({ cell, by, person }: Extract<Announcement, { kind: "closed" }>): Markdown {
  const asked = cell.requester.id === null ? md`Cell` : md`${mention(cell.requester.login)}: cell`;
  const kept = cell.keepUntil === null ? md`` : md`${day(cell.keepUntil)}, or `;
  return md`${asked} ${code(shortId(cell.id))} is closed${cell.outcome === "expired" ? ", its time was up" : ` by ${person ?? by}`}: ${published(cell)}, archived. Its seal keeps worktree, home and logs until ${kept}${code(`/lazarus destroy ${shortId(cell.id)}`)}.`;
}

function needsYou({ cell, run }: Extract<Announcement, { kind: "needs-you" }>): Markdown {
  const asked = run.requester.id === null ? md`Cell` : md`${mention(run.requester.login)}: cell`;
  const isAtRest = run.exitClass === "done" || run.exitClass === "nothing-changed";
  const what = needOf(run) ?? `${run.agent} ${isAtRest ? "rests" : `stopped (${endOfRun(run)})`}`;
  const meaning = meaningOfExit(run);
  const parts = [
    md`${asked} ${code(shortId(cell.id))} needs you: ${what}.`,
    ...[meaning, cell.breaker].flatMap((each) => (each === null ? [] : [md`${asSentence(each)}`])),
    run.exitClass === "question"
      ? md`Answer with ${code(`/lazarus tell ${shortId(cell.id)} your answer`)}: ${run.agent} goes on with it in the same cell, and in the same session where it can.`
      : md`${code(`/lazarus revive ${shortId(cell.id)}`)} lets it go on.`,
  ];
  const text = join(parts, " ");
  const question = run.exitClass === "question" ? (cell.harvest?.question ?? null) : null;
  return question === null ? text : md`${text}\n\n${quote(question, 4_000)}`;
}
