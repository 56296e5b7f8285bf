import type { Dice } from "./dice.ts";
import type { Ledger } from "./ledger.ts";
import type { CellRow } from "./peek.ts";
import type { World } from "./world.ts";

/** What is asked for as a whole; each entry is a point. */
const AS_A_WHOLE = ["name the file in the README", "keep the old tests"];
const ASKS = `Thanks. Please:\n\n- ${AS_A_WHOLE.join("\n- ")}\n`;

/**
 * Somebody who may write asks for changes on a cell's draft: two as a whole, and some at lines. False where
 * the forge takes none there.
 */
export async function requestChanges(
  at: { readonly world: World; readonly ledger: Ledger; readonly dice: Dice },
  cell: CellRow,
): Promise<boolean> {
  const { world, ledger, dice } = at;
  const { server, people } = world;
  const by = dice.pick([people.kim, people.dev]);
  const pull = `/repos/${cell.full_name}/pulls/${cell.pull_request}`;
  const { status: found, json: files } = await server.api(by, "GET", `${pull}/files?limit=50`);
  const paths = found === 200 ? (files as { filename: string }[]).map((one) => one.filename) : [];
  // Forges check neither path nor line.
  const comments = Array.from({ length: dice.between(0, 2) }, () => ({
    path: dice.pick([...paths, "src.txt"]),
    new_position: dice.between(1, 3),
    body: dice.pick(["say it in words", "and test it"]),
  }));
  const wanted = { event: "REQUEST_CHANGES", body: ASKS, comments };
  const made = await server.api(by, "POST", `${pull}/reviews`, wanted);
  if (made.status !== 200) return false;
  const { id } = made.json as { id: number };
  const entry = { repo: cell.full_name, number: Number(cell.pull_request), by: by.login };
  ledger.add({ source: "review", id, ...entry, text: ASKS }, { isTalk: true });
  ledger.reviews.push({ id, ...entry, points: AS_A_WHOLE.length + comments.length });
  return true;
}
