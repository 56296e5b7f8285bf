import type { Rest } from "../../cells/budget.ts";
import { type Cell, type Run, shortId } from "../../cells/cell.ts";
import { canComeBack, isLost } from "../../cells/lost.ts";
import { heldFor, isRetryInLine, secretsHeld, waitsByItself } from "../../cells/steps/decide.ts";
import { code, details, fenced, join, type Markdown, md, quote } from "../../gitea/markdown.ts";
import type { PeoplePush } from "../../protocol/shapes.ts";
import { pullRequestLink, size } from "./card-headline.ts";
import { letGo } from "./held-back.ts";
import { refusedHosts } from "./refused-hosts.ts";
import { meaningOfExit, moment, timeUtc } from "./run-words.ts";
import { saidLines } from "./said-words.ts";
import { aboutSetup, failedSetup } from "./setup-words.ts";

/** With the line that says that it is cut. */
const MOST_DIFF_BYTES = 21 * 1024;

/**
 * What there is to say of a cell below its headline: reasons, what was held back, reports, the end of the
 * log.
 */
export function findings(cell: Cell, runs: ShownRuns, now: number): Markdown[] {
  const { kept: run } = runs;
  const found: Markdown[] = [];
  const harvest = cell.harvest;
  if (cell.waitsForApproval) {
    found.push(
      md`${asSentence(cell.approval ?? "it is to be approved")} A director lets it start with ${hint(cell, "approve")}; the brief has the hash ${code(cell.briefSha256.slice(0, 12))}.`,
    );
    found.push(details("The brief", fenced(cell.brief, 16_000)));
  } else if (cell.reason !== null) found.push(md`${asSentence(cell.reason)}`);
  const isWarned = cell.ttlWarnedFor === cell.expiresAt && cell.closing === null;
  if (isWarned && (cell.state === "proposed" || cell.state === "active" || cell.state === "idle"))
    found.push(ending(cell));
  if (cell.state === "proposed" || cell.state === "active") found.push(...whereItGoes(cell));
  if (cell.state === "idle") found.push(...aboutExit(cell, runs, now));
  found.push(...aboutSetup(cell, run));
  if (cell.state === "idle" && run !== null && run.collectedAt !== null) found.push(...saidLines(cell, run));
  for (const reason of heldFor(cell)) found.push(md`Held back: ${reason}.`);
  if (heldFor(cell).length > 0 && cell.state !== "archived") found.push(howToLetGo(cell));
  if (heldFor(cell).length > 0 && harvest?.diff)
    found.push(details("What is held back", fenced(harvest.diff, MOST_DIFF_BYTES)));
  if (cell.releasedBy !== null && cell.releasedTip === harvest?.tip)
    found.push(md`Released by ${cell.releasedBy}.`);
  if (harvest?.salvaged) found.push(md`${harvest.salvaged}.`);
  if (harvest?.unfinished)
    found.push(
      md`It was left in the middle of a ${harvest.unfinished}: the files as they lay are in the last commit.`,
    );
  if (run !== null && run.people !== null && cell.state !== "archived") found.push(pushes(run.people));
  const refused = run === null ? null : refusedHosts(run);
  if (refused !== null) found.push(refused.markdown);
  if (run !== null && run.leftovers.length > 0) {
    found.push(md`These processes could not be ended: ${run.leftovers.join("; ")}.`);
  }
  const review = cell.state === "idle" && cell.pullRequest !== null && cell.publishedTip === harvest?.tip;
  if (review)
    found.push(md`Review ${pullRequestLink(cell)}; ${hint(cell, "close")} closes the cell (directors).`);
  if (harvest !== null && !harvest.changed && harvest.report !== null)
    found.push(details(`What ${cell.agent} reports`, quote(harvest.report, 8_000)));
  const isWorthALook = cell.outcome === "failed" || (harvest?.changed === false && harvest.report === null);
  if (harvest !== null && isWorthALook && failedSetup(run) === null && harvest.logTail !== "")
    found.push(details("The end of its log", fenced(harvest.logTail, 4_000, "end")));
  return cell.state === "destroyed" ? [] : found;
}

/** What people had pushed to its branch before the last run. */
function pushes({ branch, tip, count, isTaken, why }: PeoplePush): Markdown {
  const what = `${count === 1 ? "a commit" : `${count} commits`} that people pushed to `;
  const at = md`${code(branch)} (${code(tip.slice(0, 10))})`;
  if (isTaken) return md`The last run went on from ${what}${at}.`;
  return md`The last run began without ${what}${at}: ${why ?? "they could not be taken in"}. Its agent was told to merge them; else its work goes to a branch of its own.`;
}

/** Said at the summon on a pull request: whose branch what is made is pushed to. */
function whereItGoes(cell: Cell): Markdown[] {
  if (!cell.isPullRequest) return [];
  if (cell.delivery === "branch")
    return [md`What it makes is pushed to ${code(cell.branch)}, the branch of this pull request itself.`];
  const draft = md`what is made goes to ${code(cell.branch)}, with a draft of its own into ${code(cell.mergeInto.branch)}`;
  if (cell.fork === null)
    return [
      md`Nothing is pushed straight to the branch of this pull request, which is the default one or protected: ${draft}.`,
    ];
  return [
    md`The branch of this pull request lies in ${cell.fork.fullName}: ${draft}. What the fork brought comes with it, so a director has to publish it.`,
  ];
}

/** The warning before the end of its TTL. */
function ending(cell: Cell): Markdown {
  const then = cell.state === "proposed" ? "withdrawn" : "closed, and what it made is published";
  return md`It expires ${moment(cell.expiresAt)}: then it is ${then}. ${hint(cell, "extend", "4h")} gives it more (directors).`;
}

/** The last run of a cell, and the last that was not withdrawn before it began; null where there is none. */
export interface ShownRuns {
  readonly last: Run | null;
  readonly kept: Run | null;
}

/** What the last exit means, what it asks, and what follows by itself. */
function aboutExit(cell: Cell, { last, kept }: ShownRuns, now: number): Markdown[] {
  const found: Markdown[] = [];
  const isRetry = last !== null && isRetryInLine(last);
  if (isRetry && last.notBefore !== null && last.notBefore > now) {
    const work = cell.harvest?.tip == null ? "" : ` ${size(cell)} so far, not published yet.`;
    found.push(md`The next run starts by itself at ${timeUtc(last.notBefore, now)}.${work}`);
  }
  if (cell.breaker !== null)
    found.push(md`${asSentence(cell.breaker)} It rests until somebody types ${hint(cell, "revive")}.`);
  if (kept === null || kept.state !== "ended") return found;
  const meaning = meaningOfExit(kept);
  if (meaning !== null) found.push(md`${asSentence(meaning)}`);
  if (kept.exitClass === "question" && cell.harvest?.question != null)
    found.push(
      md`It asks:\n\n${quote(cell.harvest.question, 4_000)}`,
      md`Answer with ${hint(cell, "tell", "your answer")}: it goes on with it in the same cell, and in the same session where it can.`,
    );
  return found;
}

/** With a capital and a full stop; an agent's or a branch's name at its start stays as it is. */
export function asSentence(text: string): string {
  const isWord = /^(the|it|its|nothing|somebody|not|withdrawn|stopped|declined|over|there)\b/.test(text);
  const begun = isWord ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?)]$/.test(begun) ? begun : `${begun}.`;
}

/** Nothing was pushed: what a director may do about it. */
function howToLetGo(cell: Cell): Markdown {
  const kept = md`Nothing was pushed; the work is kept in the cell.`;
  const discard = md`${hint(cell, "close", "--discard")} closes the cell without publishing (directors).`;
  if (cell.harvest !== null && cell.harvest.forbidden.length > 0)
    return md`${kept} What shows a secret is never published; ${discard}`;
  const words = letGo(cell);
  if (words === null) return kept;
  if (secretsHeld(cell).length > 0)
    return md`${kept} Where such a value is no secret, ${code(`/lazarus ${words}`)} releases it (directors); else ${discard}`;
  return md`${kept} ${code(`/lazarus ${words}`)} releases it (directors).`;
}

/** What may be done about a cell's way back from its archive. */
function revival(cell: Cell, run: Run | null): [string, string][] {
  if (!canComeBack(cell)) return [];
  const isComing = run?.state === "waiting" || run?.state === "admitted";
  return [
    isComing
      ? ["stop", "leaves it archived"]
      : [
          "revive",
          isLost(cell) ? "begins anew there (directors)" : "brings it back and lets it go on (directors)",
        ],
  ];
}

/**
 * A command that can be pasted on any of the cell's threads, whatever other cells there are: it bears the id.
 */
export function hint(cell: Pick<Cell, "id">, verb: string, ...more: readonly string[]): Markdown {
  return code(["/lazarus", verb, shortId(cell.id), ...more].join(" "));
}

/** What a director may do where a budget or all turns are used up. */
function goingOn(rest: Rest): readonly (readonly [string, string, string?])[] {
  if (rest.kind === "turns") return [["revive", "lets it go on (directors)"]];
  return [["extend", "gives it more (directors)", `--${rest.kind} ${rest.kind === "cost" ? 5 : rest.most}`]];
}

/** What may be typed now, each with what it does. */
export function actions(cell: Cell, run: Run | null, rest: Rest | null): Markdown {
  const all: Record<Exclude<Cell["state"], "destroyed">, readonly (readonly [string, string, string?])[]> = {
    proposed: cell.waitsForApproval
      ? [
          ["approve", "lets it start (directors)"],
          ["decline", "turns it down (directors)"],
        ]
      : [
          ["stop", "withdraws it"],
          ["decline", "turns it down (directors)"],
        ],
    active: [
      ["tell", "says something to it for its next turn", "…"],
      ["logs", "shows its output"],
      ["stop", "ends this run, keeps the work"],
      ["close", "publishes and archives (directors)"],
    ],
    idle: [
      ...(rest !== null
        ? goingOn(rest)
        : run !== null && waitsByItself(run)
          ? ([
              ["revive", "lets it go on now"],
              ["tell", "says something to it for then", "…"],
              ["stop", "lets it rest, and publishes what there is"],
            ] as const)
          : ([
              ...(cell.outcome === "failed" ? ([["revive", "lets it go on"]] as const) : []),
              ["tell", "lets it go on, with what you say to it", "…"],
            ] as const)),
      ["logs", "shows its output"],
      heldFor(cell).length > 0
        ? ["close", "archives it without publishing (directors)", "--discard"]
        : ["close", "publishes and archives (directors)"],
    ],
    closing: [["status", "says how far it is"]],
    archived: [...revival(cell, run), ["why", "explains"], ["destroy", "scrubs it from disk (directors)"]],
  };
  const here = cell.state === "destroyed" ? [] : all[cell.state];
  return join(
    here.map(([verb, does, more]) => md`${hint(cell, verb, ...(more === undefined ? [] : [more]))} ${does}`),
    " · ",
  );
}
