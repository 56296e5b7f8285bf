import type { ServerResponse } from "node:http";
import { moment } from "../commands/words/run-words.ts";
import type { Viewer } from "./deps.ts";
import { banner } from "./pages/layout.ts";
import { pathBack } from "./place.ts";
import { pageAt, paramsOf } from "./routes.ts";
import { askOf, type Parts, sendStatus } from "./send.ts";
import type { Fresh } from "./stream.ts";

/** Keeps one page up to date; rights are looked at again with each look, by what is a minute old at most. */
export function keepLive(response: ServerResponse, on: string, viewer: Viewer, parts: Parts): void {
  const { d, sessions, sights, streams } = parts;
  const url = new URL(pathBack(on), "http://any.invalid");
  const came = { path: url.pathname, query: url.searchParams };
  const found = pageAt(came.path);
  if (found === null || !streams.hasRoom(viewer.session.id)) {
    const [status, headers] = found === null ? [404, {}] : [429, { "Retry-After": "60" }];
    sendStatus(response, status, headers);
    return;
  }
  streams.open(response, {
    session: viewer.session.id,
    isOfFile: paramsOf("/cells/:id/runs/:n", came.path) !== null,
    lasts: () => sessions.lasts(viewer.session.id),
    async render(): Promise<Fresh | null> {
      const now = { ...viewer, isOperator: await sights.isOperator(viewer.person) };
      const look = await askOf(came, now, parts, found.params);
      const { sight } = look;
      const shown = await found.page({
        ...look,
        sight: { ...sight, live: async (cell) => sight.inCell(cell) },
      });
      if ((shown.status ?? 200) !== 200) return null;
      return {
        title: `${shown.title} · Lazarus`,
        main: shown.main.toString(),
        banner: banner(look).toString(),
        asOf: `As of ${moment(d.clock.now())}.`,
      };
    },
  });
}
