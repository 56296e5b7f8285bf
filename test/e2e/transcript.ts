import { AGENT, FILES, ISSUE } from "../../scripts/demo-mission.ts";
import build from "../global-setup.ts";
import { asShown, Stage, type Thread } from "./stage.ts";

const WIDTH = 110;

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}

function heading(text: string): void {
  print("", `──── ${text} ${"─".repeat(Math.max(4, WIDTH - text.length - 6))}`);
}

/**
 * A text as a reader of the page sees it, in few lines: no marker, what is folded by its name, no empty
 * lines.
 */
function readable(body: string): string {
  return asShown(body)
    .replace(/<!--.*?-->\n/g, "")
    .replace(/<details><summary>(.*?)<\/summary>[\s\S]*?<\/details>\s*/g, "▸ $1  ")
    .replace(/\n(>?\s*\n)+/g, "\n")
    .trim();
}

function said(author: string, body: string): void {
  print(`${author}:`, readable(body).replace(/^/gm, "  "));
}

async function printThread(stage: Stage, at: Thread): Promise<void> {
  for (const { id, author, body } of await stage.comments(at)) {
    said(author, body);
    const reactions = (await stage.server.reactions(at.repo, id)).map((one) => `:${one.content}:`).sort();
    if (reactions.length > 0) print(`  ${reactions.join(" ")}`);
  }
}

async function printDraft(stage: Stage, number: number): Promise<void> {
  const draft = await stage.server.pullRequest(stage.repo, number);
  heading(
    `the pull request #${number}, a review of which is requested from ${draft.requestedReviewers.join(", ")}`,
  );
  print(draft.title, readable(draft.body));
  heading("its diff");
  print((await stage.server.diff(stage.repo, number)).replace(/^(diff|index|---) .*\n/gm, "").trimEnd());
}

/** Plays the main scenario on the server that the environment names, and prints what its people see. */
async function main(): Promise<void> {
  const stage = await Stage.set({ agents: { allegro: AGENT }, files: FILES });
  try {
    const { server, dev, lead } = stage;
    const issue = await stage.openIssue(ISSUE.title, { body: ISSUE.body });
    const typed = await stage.type(dev, issue, "/lazarus summon allegro");
    const card = await stage.card(issue, /→ draft #\d+/);
    const pull = Number(/→ draft #(\d+)/.exec(card)?.[1]);
    await stage.reacted(issue, typed, "rocket");
    await stage.reviewAsked(pull, dev.login);
    print(`${server.name === "stand-in" ? "A stand-in" : `A real ${server.name}`}, ${server.version}`);
    heading(`the issue #${issue.number}: ${ISSUE.title}`);
    await printThread(stage, issue);
    await printDraft(stage, pull);
    const closing = await stage.type(lead, issue, "/lazarus close");
    const closed = await stage.card(issue, "**closed by lead**");
    await stage.reacted(issue, closing, "rocket");
    heading(`after ${lead.login} typed /lazarus close`);
    said(`${stage.bot.login}, in the same comment as before`, closed);
    said(stage.bot.login, await stage.reply(issue, "is closed by"));
  } finally {
    await stage.strike();
  }
}

build();
await main();
