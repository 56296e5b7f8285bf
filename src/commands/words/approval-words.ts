import { type Cell, shortId } from "../../cells/cell.ts";
import { code, type Markdown, md, mention } from "../../gitea/markdown.ts";
import { list } from "./sentence.ts";

/** Said to whoever approved what the draft held before. */
export function approvedOlder(by: string, approved: string, now: string | null): Markdown {
  const since =
    now === null ? md`it is not known what the draft holds now` : md`${code(now.slice(0, 10))} came since`;
  return md`${mention(by)} approved ${code(approved.slice(0, 10))}; ${since}: approve again, and the cell is closed.`;
}

/** Said to whoever approved while somebody else wants changes. */
export function approvedInVain(
  cell: Cell,
  { by, objectors }: { readonly by: string; readonly objectors: readonly string[] },
): Markdown {
  const [verb, act] =
    objectors.length === 1 ? ["has", "approves or dismisses that"] : ["have", "approve or dismiss that"];
  return md`${mention(by)}: not closed, since ${list(objectors)} asked for changes and ${verb} not said otherwise. Either ${objectors.length === 1 ? "that person" : "those people"} ${act}, or a director types ${code(`/lazarus close ${shortId(cell.id)}`)}.`;
}
