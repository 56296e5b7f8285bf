import { type Cell, includesRole } from "../../cells/cell.ts";
import type { Item } from "../../cells/registry/items.ts";
import type { ItemNews } from "../../cells/reviewing.ts";
import { LazarusError } from "../../errors.ts";
import type { LineComment, Review } from "../../gitea/port.ts";
import { createRedactor } from "../../redact.ts";
import type { Deps } from "../command.ts";
import { isTakenBack } from "../last-words.ts";
import { pointWords } from "../parsing/points.ts";
import { nameOf } from "../rights.ts";

type LookDeps = Pick<Deps, "registry" | "forge" | "rights" | "config">;

/**
 * What became of the items of a cell that wait to be given: taken back, resolved, or edited since, or whoever
 * wrote them lost the right. Asked before a run starts.
 * @throws LazarusError `forge-refused` where the forge does not tell rights.
 */
export async function itemsToChange(cell: Cell, deps: LookDeps): Promise<ItemNews[]> {
  const open = deps.registry.items.open(cell.id);
  const [first] = open;
  if (first === undefined) return [];
  const name = nameOf(cell.repository);
  const { redact } = createRedactor(deps.config.secrets);
  const news: ItemNews[] = [];
  const mayAsk = new Map<number, boolean>();
  for (const pull of new Set(open.map((item) => item.pull))) {
    const reviews = await deps.forge.reviews(name, pull);
    const lines = new Map<number, LineComment[] | null>();
    for (const item of open.filter((one) => one.pull === pull)) {
      const isAtLine = item.path !== "";
      if (isAtLine && !lines.has(item.reviewId))
        lines.set(item.reviewId, await deps.forge.lineComments(name, pull, item.reviewId));
      const isAllowed = mayAsk.get(item.author.id) ?? (await isExecutor(item, cell, deps));
      mayAsk.set(item.author.id, isAllowed);
      const lost = `${item.author.login} no longer has write permission on ${cell.repository.fullName}`;
      const change = isAllowed
        ? changeOf(item, { reviews, lines: lines.get(item.reviewId) ?? null, redact })
        : { n: item.n, why: lost };
      if (change !== null) news.push(change);
    }
  }
  return news;
}

/** `lines` null: they could not be read, so nothing is known of them. */
function changeOf(
  item: Item,
  on: {
    readonly reviews: readonly Review[];
    readonly lines: readonly LineComment[] | null;
    readonly redact: (text: string) => string;
  },
): ItemNews | null {
  const { reviews, lines } = on;
  const { n } = item;
  const review = reviews.find((one) => one.id === item.reviewId);
  if (review === undefined) return { n, why: "the review was deleted" };
  if (isTakenBack(review, reviews)) return { n, why: "the review was taken back" };
  if (item.path === "" || lines === null) return null;
  const now = lines.find((one) => one.id === item.commentId);
  if (now === undefined) return { n, why: "its comment was deleted" };
  if (now.isResolved) return { n, why: "resolved before it was begun" };
  const said = on.redact(pointWords(now.body));
  return said === item.said || said === "" ? null : { n, said };
}

async function isExecutor({ author }: Item, cell: Cell, deps: LookDeps): Promise<boolean> {
  const standing = await deps.rights.standing(author, cell.repository);
  if (standing.kind === "unknowable") throw new LazarusError("forge-refused", standing.why);
  return standing.role !== null && includesRole(standing.role, "executor");
}
