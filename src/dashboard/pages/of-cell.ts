import { audit } from "../../cells/registry/audit.ts";
import { toIso } from "../../clock.ts";
import { moment } from "../../commands/words/run-words.ts";
import { explainToPeople } from "../../errors.ts";
import { iso, runData } from "../data.ts";
import type { Page } from "../deps.ts";
import { html } from "../html.ts";
import { logText } from "../log-lines.ts";
import { runTable } from "./cell.ts";
import { findOne, mustExecute, tabs } from "./find-cell.ts";
import { table, words } from "./pieces.ts";

const MOST_DIFF_BYTES = 1024 * 1024;

/** All runs of a cell. */
export const runs: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const all = ask.d.registry.runs(found.cell.id).reverse();
  return {
    title: "Runs",
    main: html`${tabs(ask, found)}<h1>Runs</h1>${runTable(ask, found, all)}`,
    isLive: true,
    data: () => ({ runs: all.map(runData) }),
  };
};

/** What happened to a cell, what was asked for and refused there. */
export const history: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const { d } = ask;
  const moves = d.registry.history(found.cell.id).map((row) => ({
    ...{ at: row.at, who: row.who },
    what: row.from === row.to ? row.to : `${row.from ?? "nothing"} → ${row.to}`,
    why: row.why,
  }));
  const asked = audit(d.db)
    .find({ cell: found.cell.id, limit: 200 })
    .map((row) => ({
      at: row.at,
      who: row.who,
      what: `${row.verb.split(" ")[0]} (${row.via})`,
      why: row.why ?? row.reason ?? row.result,
    }));
  const rows = [...moves, ...asked].sort((a, b) => b.at - a.at).slice(0, 500);
  const main = html`${tabs(ask, found)}<h1>History</h1>${table(
    { caption: "Newest first", head: ["When", "What", "Who", "Why"] },
    rows.map((row, index) => ({
      id: `h-${rows.length - index}`,
      cells: [
        html`<time datetime="${toIso(row.at)}">${moment(row.at)}</time>`,
        row.what,
        row.who,
        html`<span dir="auto">${words(d.redact(row.why), 300)}</span>`,
      ],
    })),
  )}`;
  return {
    title: "History",
    main,
    isLive: true,
    data: () => ({ history: rows.map(({ at, ...row }) => ({ at: iso(at), ...row })) }),
  };
};

/** What the agent was asked. */
export const brief: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null) return refusal;
  const { cell } = found;
  return {
    title: "Brief",
    main: html`${tabs(ask, found)}<h1>Brief <code>${cell.briefSha256.slice(0, 12)}</code></h1><pre class="brief" tabindex="0" dir="auto">${logText(ask.d.redact(cell.brief))}</pre>`,
    data: () => ({ brief: cell.brief, sha256: cell.briefSha256 }),
  };
};

/** What nobody has published yet; what was published is read on the forge. */
export const diff: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null) return refusal;
  const { cell } = found;
  const head = html`${tabs(ask, found)}<h1>Diff</h1>`;
  const { harvest } = cell;
  if (cell.state === "destroyed" || harvest === null || !harvest.changed)
    return {
      title: "Diff",
      main: html`${head}<p class="empty">There is nothing that is not published.</p>`,
      data: () => ({ diff: null, is_cut: false, held_back: [] }),
    };
  if (harvest.tip !== null && harvest.tip === cell.publishedTip)
    return {
      title: "Diff",
      main: html`${head}<p>All of it is published: ${harvest.commitCount} commits, ${harvest.files} files, +${harvest.added} −${harvest.removed}${cell.pullRequest === null ? "" : `, draft #${cell.pullRequest}`}.</p>`,
      data: () => ({ diff: null, is_cut: false, held_back: [] }),
    };
  const hidden = ask.d.files.unhidden(cell);
  if (hidden !== null)
    return {
      status: 409,
      title: "Diff",
      main: html`${head}<p class="banner bad">The diff is not shown: ${hidden}.</p>`,
    };
  try {
    const { text, cut } = await ask.d.files.diff(cell, MOST_DIFF_BYTES);
    const held = [...harvest.heldBack, ...harvest.protectedPaths, ...harvest.forbidden];
    const main = html`${head}${held.length > 0 && html`<p>Held back:</p><ul>${held.map((one) => html`<li dir="auto">${words(ask.d.redact(one), 300)}</li>`)}</ul>`}${cut && html`<p class="quiet">Only the first megabyte is shown; <code>lazarus diff ${cell.id.slice(0, 8)}</code> prints more.</p>`}
<pre class="diff" tabindex="0">${logText(text)
      .split("\n")
      .map(
        (line) => html`<span class="${kindOf(line)}">${line}
</span>`,
      )}</pre>`;
    return { title: "Diff", main, data: () => ({ diff: text, is_cut: cut, held_back: held }) };
  } catch (error) {
    ask.d.log.warn({ cell: cell.id, why: explainToPeople(error) }, "a diff could not be shown");
    return {
      status: 409,
      title: "Diff",
      main: html`${head}<p class="banner bad">The diff cannot be shown now: ${words(ask.d.redact(explainToPeople(error)), 300)}.</p>`,
    };
  }
};

function kindOf(line: string): string {
  if (/^(diff |index |--- |\+\+\+ )/.test(line)) return "file";
  if (line.startsWith("@@")) return "at";
  return line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : "";
}

/** Files that an agent left for people. */
export const artifacts: Page = async (ask) => {
  const found = findOne(ask);
  if (!("cell" in found)) return found;
  const refusal = await mustExecute(ask, found);
  if (refusal !== null) return refusal;
  const { cell } = found;
  const files = await ask.d.files.artifacts(cell);
  const link = (path: string) =>
    ask.place.link(`/cells/${cell.id}/artifacts/${path.split("/").map(encodeURIComponent).join("/")}`);
  const main = html`${tabs(ask, found)}<h1>Artifacts</h1><p class="quiet">These are the agent's own files; nobody has checked them. They are downloaded and never shown as pages.</p>${
    files.length === 0
      ? html`<p class="empty">It left none.</p>`
      : table(
          { caption: "Files", isHidden: true, head: ["File", "Bytes"] },
          files.map((file, index) => ({
            id: `f-${index}`,
            cells: [
              html`<a href="${link(file.path)}" download dir="auto">${words(file.path, 200)}</a>`,
              `${file.bytes}`,
            ],
          })),
        )
  }`;
  return {
    title: "Artifacts",
    main,
    data: () => ({ artifacts: files.map(({ path, bytes }) => ({ path, bytes })) }),
  };
};
