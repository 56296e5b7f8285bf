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
import { lostRight, standingIn } from "./standing-in.ts";

type LookDeps = Pick<Deps, "registry" | "forge" | "rights" | "config" | "clock">;

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
  const lost = new Map<number, string | null>();
  for (const pull of new Set(open.map((item) => item.pull))) {
    const reviews = await deps.forge.reviews(name, pull);
    const lines = new Map<number, LineComment[] | null>();
    for (const item of open.filter((one) => one.pull === pull)) {
      const isAtLine = item.path !== "";
      if (isAtLine && !lines.has(item.reviewId))
        lines.set(item.reviewId, await deps.forge.lineComments(name, pull, item.reviewId));
      if (!lost.has(item.author.id)) lost.set(item.author.id, await whyNoExecutor(item, cell, deps));
      const why = lost.get(item.author.id) ?? null;
      const change =
        why === null
          ? changeOf(item, { reviews, lines: lines.get(item.reviewId) ?? null, redact })
          : { n: item.n, why };
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

/** Null where whoever asked for it still may. */
async function whyNoExecutor({ author }: Item, cell: Cell, deps: LookDeps): Promise<string | null> {
  const standing = await standingIn(cell, author, deps);
  if (standing.kind === "unknowable") throw new LazarusError("forge-refused", standing.why);
  if (standing.role !== null && includesRole(standing.role, "executor")) return null;
  return lostRight(author.login, cell, { ...standing, needed: "executor" });
}
