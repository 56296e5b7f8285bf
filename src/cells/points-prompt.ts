import { sha256 } from "../hash.ts";
import { clean, fence, oneLine } from "../protocol/agent-text.ts";
import type { Item } from "./registry/items.ts";

/** A point of a review, as far as its agent is told of it. */
type PromptedItem = Pick<
  Item,
  "n" | "kind" | "author" | "path" | "line" | "oldLine" | "commit" | "hunk" | "said" | "isEdited"
>;

/** A prompt with what reviews ask for, and how it is answered. Pure. */
export function withPoints(
  text: string,
  items: readonly PromptedItem[],
): { readonly text: string; readonly sha256: string } {
  const reviews = new Map<string, PromptedItem[]>();
  for (const item of items) {
    const whose = `${item.author.login}${item.commit === "" ? "" : ` at ${item.commit.slice(0, 10)}`}`;
    reviews.set(whose, [...(reviews.get(whose) ?? []), item]);
  }
  const sections = [...reviews].map(([whose, points]) => {
    const what = points.some((item) => item.kind !== "remark") ? "Points of the review by" : "Remarks by";
    return `## ${what} ${whose}\n\n${points.map(pointText).join("\n\n")}`;
  });
  const isAsked = items.some((item) => item.kind !== "remark");
  const whole = `${[text.trim(), ...sections, ...(isAsked ? [HOW_TO_ANSWER] : [])].filter((one) => one !== "").join("\n\n")}\n`;
  return { text: whole, sha256: sha256(whole) };
}

function pointText(item: PromptedItem): string {
  const where =
    item.path === ""
      ? "the review as a whole"
      : item.oldLine > 0
        ? `\`${quiet(item.path)}\`, line ${item.oldLine} of the file before the change`
        : `\`${quiet(item.path)}\`, line ${item.line}`;
  const remark = item.kind === "remark" ? " (a remark: nobody waits for an answer)" : "";
  const edited = item.isEdited ? " (edited since)" : "";
  const hunk = item.hunk === "" ? "" : `\n\n${fence(clean(item.hunk))}`;
  return `### ${item.n}. ${where}${remark}${edited}${hunk}\n\n${fence(item.said)}`;
}

/** Of a file's name, on one line and without what would end a code span. */
function quiet(path: string): string {
  return oneLine(path).replaceAll("`", "'").slice(0, 300);
}

const HOW_TO_ANSWER = `## How to answer

Do what the points ask for, and commit it. Then write one JSON object to the file \`$LAZARUS_ANSWERS\` (make its folder where it is missing), with an answer for each point by its number:

    {"3": {"verdict": "done", "commit": "9fe12ab", "words": "The literal is a number now."},
     "4": {"verdict": "declined", "words": "The old tests check the flag that is gone."}}

- \`verdict\` is \`done\`, \`declined\`, \`asks\` (you need to know something first: say what) or \`later\`.
- \`commit\` is the commit of yours that does it. Lazarus looks for it: \`done\` without one is shown as such.
- \`words\` are for the person who asked: one or two plain sentences.
- A point that you leave out stays open, and that is said.`;
