import { holdOf } from "../../cells/hold.ts";
import { moment } from "../../commands/words/run-words.ts";
import type { Ask, Shown } from "../deps.ts";
import { type Html, html } from "../html.ts";
import type { Place } from "../place.ts";
import { STATIC } from "../static-files.ts";

const LINKS = [
  ["/", "Now"],
  ["/cells", "Cells"],
  ["/queue", "Queue"],
  ["/agents", "Agents"],
  ["/audit", "Audit"],
  ["/health", "Health"],
] as const;
const FOR_OPERATORS: readonly string[] = ["/audit", "/health"];

/** The whole document of a page, for somebody who is signed in. */
export function document(ask: Ask, shown: Shown): string {
  const { place, viewer } = ask;
  const links = LINKS.filter(([path]) => viewer.isOperator || !FOR_OPERATORS.includes(path));
  const here = ask.path.split("?")[0] ?? "/";
  const isHere = (path: string) =>
    path === "/" ? here === "/" : here === path || here.startsWith(`${path}/`);
  const nav = html`<nav aria-label="Pages"><ul>${links.map(
    ([path, name]) =>
      html`<li><a href="${place.link(path)}"${isHere(path) ? html` aria-current="page"` : ""}>${name}</a></li>`,
  )}</ul></nav>`;
  const people = html`<div class="who"><a href="${place.link("/help")}">Help</a> <a href="${place.link("/me")}">${viewer.person.login}</a></div>`;
  return page(place, {
    title: shown.title,
    theme: viewer.session.theme,
    body: html`<body${viewer.session.hasKeys ? html` data-keys="on"` : ""}${shown.isLive === true ? html` data-live="${place.link("/events")}"` : ""} data-base="${place.base}">
<a class="skip" href="#main">To the content</a>
<header><a class="brand" href="${place.link("/")}">Lazarus</a>${nav}${people}</header>
${banner(ask)}<div id="live" role="status" hidden></div>
<main id="main" tabindex="-1">${shown.main}</main>
<footer><span id="as-of">As of ${moment(ask.d.clock.now())}.</span> <noscript>Reload to see what changed; everything else works.</noscript> Lazarus ${ask.d.version} · signed in until ${moment(viewer.session.endsAt)}</footer>
<div id="said" class="unseen" role="status" aria-live="polite"></div></body>`,
  });
}

/** What stands above every page. */
export function banner({ d, place }: Ask): Html {
  const hold = holdOf(d.registry);
  return html`<div id="banner">${
    hold !== null &&
    html`<p class="banner">No new run starts: held by ${hold.who}${hold.why === "" ? "" : ` (${hold.why})`} since ${moment(hold.at)}.</p>`
  }${
    !place.isHttps &&
    !place.isLoopback &&
    html`<p class="banner bad">This page comes over plain http: whoever sees the traffic can act as you.</p>`
  }</div>`;
}

/** The document of somebody who is not signed in: it tells nothing of what is here. */
export function bare(place: Place, { title, main }: Pick<Shown, "title" | "main">): string {
  return page(place, {
    title,
    theme: null,
    body: html`<body data-base="${place.base}"><header><span class="brand">Lazarus</span></header><main id="main">${main}</main></body>`,
  });
}

function page(place: Place, what: { title: string; theme: string | null; body: Html }): string {
  return html`<!DOCTYPE html>
<html lang="en"${what.theme === null ? "" : html` data-theme="${what.theme}"`}>
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${what.title} · Lazarus</title>
<link rel="icon" href="${place.link(STATIC.icon)}" type="image/svg+xml"><link rel="stylesheet" href="${place.link(STATIC.css)}">
<script src="${place.link(STATIC.js)}" defer></script></head>
${what.body}</html>
`.toString();
}
