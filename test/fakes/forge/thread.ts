import { isDraftTitle } from "./payloads.ts";
import type { Reaction, Repository, World } from "./state.ts";

const SHOWN: Record<string, string> = {
  "+1": "👍",
  "-1": "👎",
  laugh: "😄",
  hooray: "🎉",
  confused: "😕",
  heart: "❤️",
  rocket: "🚀",
  eyes: "👀",
};

/** What a page does not show: HTML comments stay in the raw text only. */
function visible(body: string): string {
  return body
    .replaceAll("\r\n", "\n")
    .replace(/<!--[\s\S]*?-->\n?/g, "")
    .trim();
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => (line === "" ? "" : `  ${line}`))
    .join("\n");
}

function reactionLine(world: World, reactions: readonly Reaction[]): string {
  const parts = reactions.map(
    (one) => `${SHOWN[one.content] ?? one.content} ${world.user(one.userId).login}`,
  );
  return parts.length > 0 ? `\n  ${parts.join("  ")}` : "";
}

/** An issue or pull request as a reader sees it, in plain text: title, texts in order, reviews, reactions. */
export function threadText(world: World, repo: Repository, number: number): string {
  const thread = world.mustThread(repo, number);
  const login = (id: number) => world.user(id).login;
  const kind = thread.pull ? (isDraftTitle(thread.title) ? "draft pull request" : "pull request") : "issue";
  const state = thread.pull?.merged ? "merged" : thread.isOpen ? "open" : "closed";
  const head = `${world.fullName(repo)}#${number} · ${kind} · ${state}\n${thread.title}`;
  const said = [
    { at: thread.createdAt, by: login(thread.authorId), text: thread.body, reactions: thread.reactions },
    ...world.commentsOf(repo, number).map((comment) => ({
      at: comment.createdAt,
      by: login(comment.authorId),
      text: comment.body,
      reactions: comment.reactions,
    })),
    ...(thread.pull?.reviews ?? []).map((review) => ({
      at: review.createdAt,
      by: login(review.authorId),
      text:
        review.state === "REQUEST_REVIEW" ? "(was asked for a review)" : `(${review.state}) ${review.body}`,
      reactions: [],
    })),
  ].sort((a, b) => a.at - b.at);
  const blocks = said.map((one) => {
    const text = visible(one.text);
    return `@${one.by}${text === "" ? "" : `\n${indent(text)}`}${reactionLine(world, one.reactions)}`;
  });
  return `${[head, ...blocks].join("\n\n")}\n`;
}
