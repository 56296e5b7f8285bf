import { LazarusError } from "../../errors.ts";
import { findMarker, type Markdown } from "../../gitea/markdown.ts";
import type { Comment, Forge, RepositoryName } from "../../gitea/port.ts";

/** So much before what it is about a comment is searched: clocks differ. */
export const CLOCK_TOLERANCE_MS = 24 * 60 * 60_000;

interface Place {
  readonly name: RepositoryName;
  readonly number: number;
  /** Epoch ms. */
  readonly since: number;
}

/** The bot's own comments with one of these markers in their first line, oldest first. */
export async function findByMarker(
  markers: readonly Markdown[],
  { name, number, since }: Place,
  forge: Forge,
): Promise<Comment[]> {
  const names = markers.map((one) => findMarker(one.text));
  const [me, comments] = await Promise.all([forge.me(), forge.comments(name, number, since)]);
  return comments.entries.filter(
    (one) => one.author.id === me.id && findMarker(one.body) !== null && names.includes(findMarker(one.body)),
  );
}

/** False where it is gone: somebody deleted it. */
export async function editOwn(
  id: number,
  { name, body }: { readonly name: RepositoryName; readonly body: Markdown },
  forge: Forge,
): Promise<boolean> {
  try {
    await forge.editComment(name, id, body);
    return true;
  } catch (error) {
    if (!(error instanceof LazarusError) || error.code !== "forge-refused") throw error;
    if ((await forge.comment(name, id)) !== null) throw error;
    return false;
  }
}

/** Posts a comment, unless one is there: then that is edited, and doubles go. Answers its id. */
export async function findOrPost(
  place: Place,
  { body, markers }: { readonly body: Markdown; readonly markers: readonly Markdown[] },
  forge: Forge,
): Promise<number> {
  const { name, number } = place;
  const since = place.since - CLOCK_TOLERANCE_MS;
  const [oldest, ...doubles] = await findByMarker(markers, { name, number, since }, forge);
  if (oldest === undefined) return (await forge.postComment(name, number, body)).id;
  await forge.editComment(name, oldest.id, body);
  for (const double of doubles) await forge.deleteComment(name, double.id);
  return oldest.id;
}
