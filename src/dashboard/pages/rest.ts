import { audit } from "../../cells/registry/audit.ts";
import { toIso } from "../../clock.ts";
import { VERBS } from "../../commands/index.ts";
import { confines, moment, span } from "../../commands/words/run-words.ts";
import { iso } from "../data.ts";
import type { Ask, Page } from "../deps.ts";
import { type Html, html } from "../html.ts";
import { facts, message, state, table, words } from "./pieces.ts";

const WEEK_MS = 7 * 24 * 60 * 60_000;

function forOperators({ viewer }: Ask): ReturnType<typeof message> | null {
  if (viewer.isOperator) return null;
  return message(
    403,
    "For operators",
    html`This page is for operators: the people whom <code>directors</code> names in <code>lazarus.yaml</code>, and whoever came in by <code>lazarus open</code>. ${viewer.person.login} is none.`,
  );
}

/** Which agents there are, and how their runs of the last week ended. */
export const agents: Page = async (ask) => {
  const { d, sight, place, params, viewer } = ask;
  const since = d.clock.now() - WEEK_MS;
  const ended = d.db.sql
    .prepare(
      `SELECT runs.agent AS agent, coalesce(exit_class, CASE WHEN stopped IS NULL THEN 'done' ELSE 'stopped' END) AS how, count(*) AS count
       FROM runs INDEXED BY runs_ended JOIN cells ON cells.id = runs.cell
       WHERE runs.ended_at > @since AND runs.ended_at IS NOT NULL AND cells.repository IN (SELECT value FROM json_each(@ids)) GROUP BY 1, 2 ORDER BY 3 DESC`,
    )
    .all({ since, ids: sight.ids }) as { agent: string; how: string; count: number }[];
  const all = [...d.config.agents.values()].filter(
    (one) => params.name === undefined || one.name === params.name,
  );
  if (all.length === 0 && params.name !== undefined)
    return message(
      404,
      "No such agent",
      html`There is no agent <code>${words(params.name, 40)}</code> here.`,
    );
  const main = html`<h1>Agents</h1>${all.map(
    (one) =>
      html`<section aria-labelledby="a-${one.name}"><h2 id="a-${one.name}"><a href="${place.link(`/agents/${one.name}`)}">${one.name}</a></h2>${facts(
        [
          [
            "can be summoned",
            one.unavailable === null
              ? "yes"
              : html`<span class="bad">no: ${words(d.redact(one.unavailable), 300)}</span>`,
          ],
          ["runs in", confines(one)],
          ["one run lasts at most", span(one.limits.runMs ?? d.config.limits.runMs)],
          [
            "variables",
            viewer.isOperator
              ? Object.entries(one.env).map(
                  ([name, value]) => html`<code>${name}</code> ${value === "" ? "not set" : "set"} `,
                )
              : null,
          ],
          [
            "last 7 days",
            ended
              .filter((row) => row.agent === one.name)
              .map((row) => `${row.count} ${row.how}`)
              .join(", ") || "no run ended",
          ],
        ],
      )}</section>`,
  )}${all.length === 0 && html`<p class="empty">No agent is configured here.</p>`}`;
  const data = () => ({
    agents: all.map((one) => ({
      ...{ name: one.name, is_available: one.unavailable === null, why_not: one.unavailable },
      ...{ runs_in: confines(one), run_seconds: (one.limits.runMs ?? d.config.limits.runMs) / 1_000 },
      variables: viewer.isOperator
        ? Object.entries(one.env).map(([name, value]) => ({ name, is_set: value !== "" }))
        : null,
      last_7_days: ended.filter((row) => row.agent === one.name).map(({ how, count }) => ({ how, count })),
    })),
  });
  return { title: "Agents", main, data };
};

/** Who asked for what, by what way, why, and what came of it. */
export const auditPage: Page = async (ask) => {
  const refusal = forOperators(ask);
  if (refusal !== null) return refusal;
  const { d, query, place } = ask;
  const get = (name: string) => words(query.get(name) ?? "", 100);
  const given = { who: get("who"), verb: get("verb"), cell: get("cell"), result: get("result") };
  const before = Number(query.get("before") ?? "");
  const rows = audit(d.db).find({
    ...given,
    ...(Number.isSafeInteger(before) && before > 0 ? { before } : {}),
    limit: 100,
  });
  const last = rows.at(-1);
  const older = new URLSearchParams([
    ...Object.entries(given).filter(([, value]) => value !== ""),
    ["before", String(last?.seq ?? 0)],
  ]);
  const main = html`<h1>Audit</h1><p class="quiet">Every action and refusal of the last ${span(d.config.audit.keepMs)}: comments, pages, command line. Nobody can change it. <a href="${place.link("/audit.csv")}" download>As CSV</a></p>
<form method="get" action="${place.link("/audit")}" class="filters" role="search">${(["who", "verb", "cell"] as const).map((name) => html`<label>${name} <input name="${name}" value="${given[name]}" maxlength="100"></label>`)}<label>result <select name="result"><option value="">any</option>${["done", "refused", "failed"].map((one) => html`<option${given.result === one ? html` selected` : ""}>${one}</option>`)}</select></label><button>Show</button></form>
${
  rows.length === 0
    ? html`<p class="empty">Nothing was asked for that is like that.</p>`
    : table(
        {
          caption: "Newest first",
          isHidden: true,
          head: ["When", "Who", "By", "What", "On", "Why", "Result"],
        },
        rows.map((row) => ({
          id: `au-${row.seq}`,
          cells: [
            html`<time datetime="${toIso(row.at)}">${moment(row.at)}</time>`,
            row.who,
            row.via,
            html`<code dir="auto">${words(d.redact(row.verb), 120)}</code>`,
            row.cell === null
              ? row.subject
              : html`<a href="${place.link(`/cells/${row.cell}`)}">${row.subject}</a>`,
            html`<span dir="auto">${words(d.redact(row.why ?? ""), 200)}</span>`,
            html`${state(row.result)} <span dir="auto">${words(d.redact(row.reason ?? ""), 300)}</span>`,
          ],
        })),
      )
}
${rows.length === 100 && html`<p><a class="button" href="${place.link(`/audit?${older}`)}" rel="next">Older</a></p>`}`;
  const data = () => ({
    audit: rows.map(({ at, whoId, ...row }) => ({ ...row, who_id: whoId, at: iso(at) })),
    next: rows.length === 100 ? place.link(`/audit?${older}`) : null,
  });
  return { title: "Audit", main, data };
};

/** How Lazarus itself is. */
export const health: Page = async (ask) => {
  const refusal = forOperators(ask);
  if (refusal !== null) return refusal;
  const { d } = ask;
  const reasons = d.notReady();
  const free = await d.files.free();
  const { forge, login, limits, agents: configured } = d.config;
  const set = (isSet: boolean) => (isSet ? "set" : "not set");
  const main = html`<h1>Health</h1>${
    reasons.length === 0
      ? html`<p class="banner good">Ready: the registry is open, the forge answers, the backends were checked.</p>`
      : html`<div class="banner bad"><p>Not ready:</p><ul>${reasons.map((one) => html`<li>${words(d.redact(one), 300)}</li>`)}</ul></div>`
  }${facts([
    ["version", `${d.version}, Node ${process.versions.node}`],
    ["forge", forge.url],
    ["browsers reach it as", forge.publicUrl],
    ["repositories served", forge.repositories.join(", ")],
    ["catch-up", forge.pollMs === 0 ? "at a start alone" : `each ${span(forge.pollMs)}`],
    [
      "free disk",
      `${(free / 1024 ** 3).toFixed(1)} GB; no run starts below ${(limits.freeBytes / 1024 ** 3).toFixed(1)} GB`,
    ],
    [
      "places",
      `${limits.cells} in all, ${limits.perRepository} of a repository, ${limits.perPerson} of a person`,
    ],
    [
      "agents",
      [...configured.values()]
        .map((one) => `${one.name}${one.unavailable === null ? "" : " (cannot be summoned)"}`)
        .join(", "),
    ],
    ["forge token", set(forge.token !== "")],
    ["webhook secrets", `${forge.webhookSecrets.length} ${set(forge.webhookSecrets.length > 0)}`],
    ["sign-in through the forge", login.client === null ? "not set up; see docs/dashboard.md" : "set up"],
    ["operators", d.config.directors.join(", ") || "nobody but whoever types lazarus open"],
  ])}<p class="quiet"><code>lazarus doctor</code> on the server looks at the machine, the forge, its hooks and each agent.</p>`;
  const data = () => ({
    ...{ is_ready: reasons.length === 0, reasons, version: d.version, node: process.versions.node },
    forge: { url: forge.url, public_url: forge.publicUrl, repositories: forge.repositories },
    ...{ free_bytes: free, least_free_bytes: limits.freeBytes },
    places: { in_all: limits.cells, of_a_repository: limits.perRepository, of_a_person: limits.perPerson },
    is_sign_in_set_up: login.client !== null,
    operators: d.config.directors,
  });
  return { title: "Health", main, isLive: true, data };
};

/** Where one is signed in, and how the pages look. */
export const me: Page = async ({ viewer, sessions, place }) => {
  const all = sessions.of(viewer.session);
  const { theme, hasKeys } = viewer.session;
  const main = html`<h1>${viewer.person.login}</h1><p>${viewer.isOperator ? "You are an operator here." : "You see the cells of repositories that you may read on the forge."}</p>
<section aria-labelledby="look-h"><h2 id="look-h">Pages</h2><form method="post" action="${place.link("/me")}"><p><label>Colours <select name="theme">${["as the browser says", "light", "dark"].map((one) => html`<option${(theme ?? "as the browser says") === one ? html` selected` : ""}>${one}</option>`)}</select></label></p>
<p><label><input type="checkbox" name="keys" value="on"${hasKeys ? html` checked` : ""}> Keys: <kbd>?</kbd> help, <kbd>/</kbd> find, <kbd>g</kbd> then <kbd>n</kbd> <kbd>c</kbd> <kbd>q</kbd> <kbd>a</kbd> go, <kbd>j</kbd> <kbd>k</kbd> rows, <kbd>o</kbd> on the forge. None changes anything.</label></p><button>Keep</button></form></section>
<section aria-labelledby="se-h"><h2 id="se-h">Signed in</h2>${table(
    { caption: "Sessions", isHidden: true, head: ["Since", "Last seen", "Until", "Action"] },
    all.map((one, index) => ({
      id: `s-${index}`,
      cells: [
        moment(one.madeAt),
        moment(one.seenAt),
        moment(one.endsAt),
        html`<form method="post" action="${place.link("/me/end")}"><input type="hidden" name="session" value="${one.id}"><button>${one.id === viewer.session.id ? "End this one (here)" : "End this one"}</button></form>`,
      ],
    })),
  )}</section><form method="post" action="${place.link("/logout")}"><button>Sign out</button></form>`;
  const data = () => ({
    ...{ login: viewer.person.login, is_operator: viewer.isOperator },
    sessions: all.map((one) => ({
      ...{ made_at: iso(one.madeAt), seen_at: iso(one.seenAt), ends_at: iso(one.endsAt) },
      is_this: one.id === viewer.session.id,
    })),
  });
  return { title: "Me", main, data };
};

/** What can be typed and pressed, from the very table of verbs. */
export const help: Page = async () => {
  const main = html`<h1>Help</h1><p>On the forge, type at the start of a line of a comment. Here, a cell's page has the same verbs as buttons: they ask for the same rights and answer with the same words.</p>${table(
    { caption: "Verbs", isHidden: true, head: ["Type", "What it does", "Who may"] },
    VERBS.map((verb) => ({
      id: `v-${verb.name}`,
      cells: [html`<code>/lazarus ${verb.usage}</code>`, verb.summary, verb.who],
    })),
  )}${keys()}`;
  const data = () => ({
    verbs: VERBS.map(({ name, usage, summary, who }) => ({ name, usage, summary, who })),
  });
  return { title: "Help", main, data };
};

function keys(): Html {
  return html`<h2>Keys</h2><p>They work while no field has the focus, and can be switched off under your name. None changes anything.</p>${table(
    { caption: "Keys", isHidden: true, head: ["Key", "What it does"] },
    [
      ["?", "this page"],
      ["/", "find a cell"],
      ["g n", "Now"],
      ["g c", "Cells"],
      ["g q", "Queue"],
      ["g a", "Audit"],
      ["j, k", "next row, row before"],
      ["o", "this cell's thread on the forge"],
      ["Esc", "shuts a dialog"],
    ].map(([key, what], index) => ({ id: `k-${index}`, cells: [html`<kbd>${key ?? ""}</kbd>`, what ?? ""] })),
  )}`;
}
