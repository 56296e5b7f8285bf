import { type Cell, isResting, type Role, type Run, shortId } from "../cells/cell.ts";
import { canComeBack, isLost } from "../cells/lost.ts";
import { heldFor } from "../cells/steps/decide.ts";
import { size } from "../commands/words/card-headline.ts";
import { moment } from "../commands/words/run-words.ts";
import { type Html, html } from "./html.ts";

/** The cell that a verb is to be done to, and its last run. */
export interface At {
  readonly cell: Cell;
  readonly run: Run | null;
}

/** What a form brought. */
export type Fields = Readonly<Record<string, string>>;

/** A verb as a button: the same command as in a comment, and a page of its own that says what will happen. */
export interface WebVerb {
  readonly name: string;
  /** On its button. */
  readonly label: string;
  /** What one must be in the cell. */
  role(at: At): Role;
  /** Whether it could do anything now. */
  fits(at: At): boolean;
  /** What will happen, with what is known now. */
  says(at: At): Html;
  /** More fields of its form. */
  readonly fields?: (at: At) => Html;
  /** It takes something away for good: the first eight characters of the id are typed. */
  readonly isFinal?: boolean;
  /** The command, as if it had been typed. */
  command(
    at: At,
    fields: Fields,
  ): { words: string[]; flags: Record<string, string | boolean>; text: string | null };
}

const WORDS = (label: string, isNeeded: boolean) =>
  html`<p><label for="words">${label}</label><textarea id="words" name="words" rows="5" maxlength="16000"${isNeeded ? html` required` : ""}></textarea></p>`;

const isOpenRun = (run: Run | null) => run !== null && ["waiting", "admitted", "running"].includes(run.state);
const isWaiting = ({ cell }: At) => cell.state === "proposed" && cell.waitsForApproval;
const plain = ({ cell }: At) => ({ words: [cell.id], flags: {}, text: null });

/** What can be done to a cell from its page, the usual ones first. */
export const WEB_VERBS: readonly WebVerb[] = [
  {
    name: "approve",
    label: "Approve",
    role: () => "director",
    fits: isWaiting,
    says: ({ cell }) =>
      html`<p>${cell.agent} begins to work on what follows, as it stands here (<code>${cell.briefSha256.slice(0, 12)}</code>). If it is another text by then, nothing is begun.</p><pre class="brief" tabindex="0" dir="auto">${cell.brief}</pre>`,
    command: ({ cell }, fields) => ({
      words: [cell.id, /^[0-9a-f]{8,64}$/.test(fields.hash ?? "") ? (fields.hash ?? "") : cell.briefSha256],
      flags: {},
      text: null,
    }),
    fields: ({ cell }) => html`<input type="hidden" name="hash" value="${cell.briefSha256}">`,
  },
  {
    name: "decline",
    label: "Decline",
    role: () => "director",
    fits: isWaiting,
    says: ({ cell }) =>
      html`<p>${cell.agent} never begins; the cell is archived without being made. Whoever asked hears why.</p>`,
    command: ({ cell }, fields) => ({ words: [cell.id, ...wordsOf(fields.why)], flags: {}, text: null }),
  },
  {
    name: "tell",
    label: "Tell it something",
    role: () => "executor",
    fits: ({ cell }) => cell.state === "idle" || cell.state === "active",
    says: ({ cell }) =>
      html`<p>${cell.agent} is told this ${cell.state === "idle" ? "at once, in a turn that begins for it" : "when its next turn begins"}.</p>`,
    fields: () => WORDS("What it is told", true),
    command: ({ cell }, fields) => ({ words: [cell.id], flags: {}, text: fields.words ?? "" }),
  },
  {
    name: "stop",
    label: "Stop",
    role: () => "executor",
    fits: ({ run }) => isOpenRun(run),
    says: ({ run }) =>
      html`<p>Run ${run?.n ?? 0} of ${run?.agent ?? "its agent"} ends. Nothing is lost: revive lets it go on.</p>`,
    command: plain,
  },
  {
    name: "revive",
    label: "Revive",
    role: ({ cell }) => (cell.state === "archived" ? "director" : "executor"),
    fits: ({ cell, run }) => !isOpenRun(run) && (cell.state === "idle" || canComeBack(cell)),
    says: ({ cell, run }) =>
      html`<p>${run?.agent ?? cell.agent} goes on from where it stands${isLost(cell) ? ", in a new directory" : cell.state === "archived" ? ", after the cell is brought back from its archive" : ""}.</p>`,
    fields: () => WORDS("Words for the agent (may be empty)", false),
    command: ({ cell }, fields) => ({
      words: [cell.id],
      flags: {},
      text: (fields.words ?? "").trim() === "" ? null : (fields.words ?? ""),
    }),
  },
  {
    name: "publish",
    label: "Publish what is held back",
    role: () => "director",
    fits: (at) =>
      isResting(at.cell, at.run) &&
      isUnpublished(at.cell) &&
      (heldFor(at.cell).length > 0 || at.cell.pushRefused !== null),
    says: ({ cell }) =>
      html`<p>${size(cell)} go to the forge. The repository's CI may run them, with its secrets. They were held back for this:</p><ul>${heldFor(cell).map((why) => html`<li dir="auto">${why}</li>`)}</ul>`,
    fields: ({ cell }) =>
      (cell.harvest?.protectedPaths.length ?? 0) === 0
        ? html``
        : html`<p><label><input type="checkbox" name="protected" value="yes"> I looked at the changes that decide what runs next (<code>--allow-protected</code>)</label></p>`,
    command: ({ cell }, fields) => ({
      words: [cell.id],
      flags: fields.protected === "yes" ? { "--allow-protected": true } : {},
      text: null,
    }),
  },
  {
    name: "extend",
    label: "Extend",
    role: () => "director",
    fits: ({ cell }) => ["proposed", "active", "idle"].includes(cell.state),
    says: ({ cell }) => html`<p>The cell ends ${moment(cell.expiresAt)}. It gets more time.</p>`,
    fields: () =>
      html`<p><label>More time <select name="for"><option>4h</option><option>1d</option><option>2d</option><option>7d</option></select></label></p>`,
    command: ({ cell }, fields) => ({
      words: [cell.id, /^\d{1,4}[smhd]$/.test(fields.for ?? "") ? (fields.for ?? "4h") : "4h"],
      flags: {},
      text: null,
    }),
  },
  {
    name: "close",
    label: "Close",
    role: () => "director",
    fits: ({ cell }) => cell.state === "active" || cell.state === "idle",
    says: ({ cell }) =>
      html`<p>What is not published yet (${cell.harvest === null ? "nothing is known of" : size(cell)}) is published, unless you discard it. The cell is sealed and archived; revive brings it back.</p>`,
    fields: () =>
      html`<p><label><input type="checkbox" name="discard" value="yes"> Do not publish; the seal keeps the work (<code>--discard</code>)</label></p>`,
    command: ({ cell }, fields) => ({
      words: [cell.id],
      flags: fields.discard === "yes" ? { "--discard": true } : {},
      text: null,
    }),
  },
  {
    name: "destroy",
    label: "Destroy",
    role: () => "director",
    fits: ({ cell, run }) => cell.state === "archived" && !isOpenRun(run),
    says: () =>
      html`<p>The cell, its seal, logs and artifacts are scrubbed from disk, for good. Its branch and pull request stay on the forge.</p>`,
    isFinal: true,
    command: plain,
  },
];

export function webVerb(name: string): WebVerb | null {
  return WEB_VERBS.find((one) => one.name === name) ?? null;
}

/** What somebody saw when the form was made: it is compared when the form comes. */
export function seenOf({ cell, run }: At): string {
  return `${cell.state}:${run?.n ?? 0}:${run?.state ?? "none"}`;
}

/** A form of a cell that was seen otherwise. */
export function hasChanged(at: At, verb: string): Html {
  return html`Cell <code>${shortId(at.cell.id)}</code> is ${at.cell.state} by now${at.run === null ? "" : `, its run ${at.run.n} is ${at.run.state}`}, so <code>${verb}</code> was not done. Look again.`;
}

function isUnpublished(cell: Cell): boolean {
  return cell.harvest?.tip != null && cell.harvest.tip !== cell.publishedTip;
}

function wordsOf(text: string | undefined): string[] {
  return (text ?? "")
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "")
    .slice(0, 200);
}
