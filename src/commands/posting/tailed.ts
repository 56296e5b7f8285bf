import { shortId } from "../../cells/cell.ts";
import { code, details, fenced, md } from "../../gitea/markdown.ts";
import type { Handlers } from "../../queue/queue.ts";
import { type AnswerDeps, answerWith } from "./answer.ts";

const MOST_BYTES = 60_000;

/** Handler of a log's end that a runner read: it becomes the answer to `logs`. */
export function createTailHandler(deps: AnswerDeps): Pick<Handlers, "tailed"> {
  return {
    tailed: async (job) => {
      const { cellId, run, text, truncated, asker } = job.payload;
      const cut = truncated ? ", its end" : "";
      const markdown = details(
        `Log of run ${run} of cell ${shortId(cellId)}${cut}`,
        text === "" ? md`It is empty.` : fenced(text, MOST_BYTES, "end"),
      );
      const reply = { markdown: md`Cell ${code(shortId(cellId))}:\n\n${markdown}`, text };
      return () =>
        answerWith(
          asker,
          { kind: "done", reply, line: { markdown, text }, data: { id: cellId, run, truncated, log: text } },
          deps,
        );
    },
  };
}
