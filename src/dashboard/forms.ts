import type { IncomingMessage, ServerResponse } from "node:http";
import { type Acted, actOnAll, actOnCell, actOnJob, summon } from "./actions.ts";
import { cookie } from "./cookies.ts";
import type { Ask, Viewer } from "./deps.ts";
import { html } from "./html.ts";
import { document } from "./pages/layout.ts";
import { signIn } from "./pages/sign-in.ts";
import { pageAt, paramsOf } from "./routes.ts";
import { askOf, type Came, type Parts, send, sendBare, sendOn } from "./send.ts";
import type { Fields } from "./web-verbs.ts";

interface Sent {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly fields: Fields;
}

/** Does what a form of a page of ours asks for, and sends its person on. */
export async function takeForm(
  { request, response, fields }: Sent,
  came: Came,
  viewer: Viewer,
  parts: Parts,
): Promise<void> {
  const { place, sessions } = parts;
  const { path } = came;
  const to = (where: string) => sendOn(response, place.link(where));
  if (path === "/logout") {
    sessions.end(viewer.session.id);
    response.setHeader("Set-Cookie", cookie("session", "", 0, place));
    return sendBare(response, parts, signIn(place, parts.d, { why: "out", to: "/" }), 200);
  }
  if (path === "/me") {
    const theme = fields.theme === "light" || fields.theme === "dark" ? fields.theme : null;
    sessions.set(viewer.session.id, { theme, hasKeys: fields.keys === "on" });
    return to("/me");
  }
  if (path === "/me/end") {
    const one = sessions.of(viewer.session).find(({ id }) => id === fields.session);
    if (one !== undefined) sessions.end(one.id);
    return to("/me");
  }
  const found = pageAt(path);
  const look = await askOf(came, viewer, parts, found?.params ?? {});
  const acted = await act(path, look, fields);
  if (acted === null)
    return sendBare(
      response,
      parts,
      { title: "Not here", main: html`<h1>Not here</h1><p>No form is sent there.</p>` },
      404,
    );
  if ("to" in acted) return to(acted.to);
  send(request, response, document(look, acted), acted.status ?? 200);
}

async function act(path: string, look: Ask, fields: Fields): Promise<Acted | null> {
  if (path === "/hold") return actOnAll(look, "hold", fields);
  if (path === "/resume") return actOnAll(look, "resume", fields);
  if (path === "/summon") return summon(look, fields);
  if (paramsOf("/queue/:job/:action", path) !== null) return actOnJob(look, fields);
  return look.params.verb === undefined ? null : actOnCell(look, fields);
}

/** The texts of a form. */
export function fieldsOf(body: unknown): Fields {
  const pairs = Object.entries(typeof body === "object" && body !== null ? body : {});
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}
