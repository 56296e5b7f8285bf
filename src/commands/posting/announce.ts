import { shortId } from "../../cells/cell.ts";
import type { Announcement } from "../../cells/reports/deps.ts";
import { code, join, type Markdown, md, mention, quote } from "../../gitea/markdown.ts";
import type { Queue } from "../../queue/queue.ts";
import { asSentence } from "../words/card-findings.ts";
import { needOf, published } from "../words/card-headline.ts";
import { day, endOfRun, meaningOfExit } from "../words/run-words.ts";
import { replyJob } from "./answer.ts";

/** Turns what people must hear of into comments, each said once: the closing report, and what a person is needed for. Both name who asked. */
export function createAnnouncer(deps: { queue: Queue }): (announcement: Announcement) => void {
  return (one) => {
    const { cell } = one;
    const said =
      one.kind === "closed"
        ? { marker: `closed:${cell.id}:${cell.sealedAt ?? 0}`, body: closed(one) }
        : { marker: `needs-you:${cell.id}:${one.run.n}`, body: needsYou(one) };
    deps.queue.put(replyJob({ repository: cell.repository, number: cell.number, ...said }));
  };
}

function closed({ cell, by, person }: Extract<Announcement, { kind: "closed" }>): Markdown {
  const asked = cell.requester.id === null ? md`Cell` : md`${mention(cell.requester.login)}: cell`;
  const kept = cell.keepUntil === null ? md`` : md`${day(cell.keepUntil)}, or `;
  return md`${asked} ${code(shortId(cell.id))} is closed${cell.outcome === "expired" ? ", its time was up" : ` by ${person ?? by}`}: ${published(cell)}, archived. Its seal keeps worktree, home and logs until ${kept}${code(`/lazarus destroy ${shortId(cell.id)}`)}.`;
}

function needsYou({ cell, run }: Extract<Announcement, { kind: "needs-you" }>): Markdown {
  const asked = run.requester.id === null ? md`Cell` : md`${mention(run.requester.login)}: cell`;
  const what = needOf(run) ?? `${run.agent} stopped (${endOfRun(run)})`;
  const meaning = meaningOfExit(run);
  const parts = [
    md`${asked} ${code(shortId(cell.id))} needs you: ${what}.`,
    ...[meaning, cell.breaker].flatMap((each) => (each === null ? [] : [md`${asSentence(each)}`])),
    run.exitClass === "question"
      ? md`Answer with ${code(`/lazarus revive ${shortId(cell.id)} -- your answer`)}: ${run.agent} goes on with it in the same cell, and in the same session where it can.`
      : md`${code(`/lazarus revive ${shortId(cell.id)}`)} lets it go on.`,
  ];
  const text = join(parts, " ");
  const question = run.exitClass === "question" ? (cell.harvest?.question ?? null) : null;
  return question === null ? text : md`${text}\n\n${quote(question, 4_000)}`;
}
