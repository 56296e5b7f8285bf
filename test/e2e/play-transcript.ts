import { AGENT, FILES, ISSUE } from "../../scripts/demo-mission.ts";
import { Stage, type Thread } from "./stage.ts";
import { readable } from "./told.ts";

const WIDTH = 110;

type Print = (...lines: string[]) => void;

function heading(text: string, print: Print): void {
  print("", `──── ${text} ${"─".repeat(Math.max(4, WIDTH - text.length - 6))}`);
}

function said(author: string, body: string, print: Print): void {
  print(`${author}:`, readable(body).replace(/^/gm, "  "));
}

async function printThread(stage: Stage, at: Thread, print: Print): Promise<void> {
  for (const { id, author, body } of await stage.comments(at)) {
    said(author, body, print);
    const reactions = (await stage.server.reactions(at.repo, id)).map((one) => `:${one.content}:`).sort();
    if (reactions.length > 0) print(`  ${reactions.join(" ")}`);
  }
}

async function printDraft(stage: Stage, number: number, print: Print): Promise<void> {
  const draft = await stage.server.pullRequest(stage.repo, number);
  heading(
    `the pull request #${number}, a review of which is requested from ${draft.requestedReviewers.join(", ")}`,
    print,
  );
  print(draft.title, readable(draft.body));
  heading("its diff", print);
  print((await stage.server.diff(stage.repo, number)).replace(/^(diff|index|---) .*\n/gm, "").trimEnd());
}

/** Plays the main scenario on the server that the environment names; answers what its people see. */
export async function playTranscript(): Promise<string> {
  const all: string[] = [];
  const print: Print = (...lines) => void all.push(...lines);
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
    heading(`the issue #${issue.number}: ${ISSUE.title}`, print);
    await printThread(stage, issue, print);
    await printDraft(stage, pull, print);
    const closing = await stage.type(lead, issue, "/lazarus close");
    const closed = await stage.card(issue, "**closed by lead**");
    await stage.reacted(issue, closing, "rocket");
    heading(`after ${lead.login} typed /lazarus close`, print);
    said(`${stage.bot.login}, in the same comment as before`, closed, print);
    said(stage.bot.login, await stage.reply(issue, "is closed by"), print);
    return all.join("\n");
  } finally {
    await stage.strike();
  }
}
