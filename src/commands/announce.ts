import { shortId } from "../cells/cell.ts";
import type { Announcement } from "../cells/report-deps.ts";
import { code, md, mention } from "../gitea/markdown.ts";
import type { Queue } from "../queue/queue.ts";
import { replyJob } from "./answer.ts";
import { published } from "./card-headline.ts";
import { day } from "./run-words.ts";

/** Turns what people must hear of into comments: the closing report names who asked. */
export function createAnnouncer(deps: { queue: Queue }): (announcement: Announcement) => void {
  return ({ cell, by, person }) => {
    const asked = cell.requester.id === null ? md`Cell` : md`${mention(cell.requester.login)}: cell`;
    const text = md`${asked} ${code(shortId(cell.id))} is closed by ${person ?? by}: ${published(cell)}, archived. Its seal keeps worktree, home and logs until ${cell.keepUntil === null ? md`` : md`${day(cell.keepUntil)}, or `}${code(`/lazarus destroy ${shortId(cell.id)}`)}.`;
    deps.queue.put(
      replyJob({
        repository: cell.repository,
        number: cell.number,
        marker: `closed:${cell.id}:${cell.sealedAt ?? 0}`,
        body: text,
      }),
    );
  };
}
