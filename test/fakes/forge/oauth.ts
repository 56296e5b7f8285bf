import { createHash, randomBytes, randomUUID } from "node:crypto";
import {
  bare,
  type Call,
  fields,
  html,
  json,
  mustUser,
  needText,
  notFound,
  type Reply,
  type Route,
} from "./http.ts";
import type { User, World } from "./state.ts";

/** An OAuth2 application, as its owner made it. */
interface Application {
  readonly id: number;
  readonly ownerId: number;
  readonly name: string;
  readonly clientId: string;
  readonly secret: string;
  readonly redirects: readonly string[];
}

interface Code {
  readonly application: Application;
  readonly userId: number;
  /** Null where the consent page was shown: the line before 1.25.5 forgets it there. */
  readonly challenge: string | null;
}

/** What a server knows of sign-ins to others; the scope of the first consent holds for good. */
class Oauth {
  readonly applications: Application[] = [];
  readonly grants = new Map<string, string>();
  readonly codes = new Map<string, Code>();
  readonly tokens = new Map<string, number>();
}

const servers = new WeakMap<World, Oauth>();

function of({ world }: Pick<Call, "world">): Oauth {
  const found = servers.get(world) ?? new Oauth();
  servers.set(world, found);
  return found;
}

/** The forms of sign-in need a session, which pages keep. */
export interface Visitor {
  readonly userId: number | null;
  /** `Set-Cookie` of the session. */
  readonly headers: Reply["headers"];
}

function makeApplication(call: Call): Reply {
  const owner = mustUser(call);
  const { redirect_uris: redirects } = fields(call);
  const made: Application = {
    ...{ id: call.world.nextId("application"), ownerId: owner.id, name: needText(call, "name") },
    ...{ clientId: randomUUID(), secret: `gto_${randomBytes(20).toString("hex")}` },
    redirects: Array.isArray(redirects) ? redirects.map(String) : [],
  };
  of(call).applications.push(made);
  return json(201, { ...shown(made), client_secret: made.secret });
}

function shown({ id, name, clientId, redirects }: Application): object {
  return {
    id,
    name,
    client_id: clientId,
    client_secret: "",
    redirect_uris: redirects,
    confidential_client: true,
  };
}

function listApplications(call: Call): Reply {
  const owner = mustUser(call);
  return json(
    200,
    of(call)
      .applications.filter((one) => one.ownerId === owner.id)
      .map(shown),
  );
}

/** Those of others are as if they were not there. */
function removeApplication(call: Call): Reply {
  const owner = mustUser(call);
  const all = of(call).applications;
  const at = all.findIndex((one) => one.id === Number(call.params.id) && one.ownerId === owner.id);
  if (at < 0) throw notFound(call);
  all.splice(at, 1);
  return bare(204);
}

function same(a: string, b: string): boolean {
  return a.replace(/\/$/, "").toLowerCase() === b.replace(/\/$/, "").toLowerCase();
}

/** `GET /login/oauth/authorize`: the login page, the consent page, or back at once where that was given. */
export function authorize(call: Call, visitor: Visitor): Reply {
  if (visitor.userId === null)
    return { ...bare(303), headers: { Location: "/user/login", ...visitor.headers } };
  const query = call.url.searchParams;
  const [redirect = "", scope = ""] = [query.get("redirect_uri") ?? "", query.get("scope") ?? ""];
  const application = of(call).applications.find((one) => one.clientId === query.get("client_id"));
  if (application === undefined) return html(400, "<!DOCTYPE html><p>Client ID not registered");
  if (!application.redirects.some((one) => same(one, redirect)))
    return html(400, "<!DOCTYPE html><p>Unregistered Redirect URI");
  const back = (answer: Record<string, string>) => goBack(redirect, query.get("state") ?? "", answer);
  if (query.get("response_type") !== "code") return back({ error: "unsupported_response_type" });
  const grant = of(call).grants.get(`${application.id} ${visitor.userId}`);
  if (grant !== undefined && grant !== scope)
    return back({ error: "server_error", error_description: "a grant exists with different scope" });
  const { userId } = visitor;
  if (grant !== undefined)
    return back({ code: newCode(call, { application, userId, challenge: query.get("code_challenge") }) });
  const hidden = (name: string, value: string) =>
    `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`;
  const inputs = [
    hidden("client_id", application.clientId),
    hidden("state", query.get("state") ?? ""),
    hidden("scope", scope),
    hidden("nonce", ""),
    hidden("redirect_uri", redirect),
  ].join("");
  const buttons = `<button id="authorize-app" name="granted" value="true">Authorize</button><button name="granted" value="false">Cancel</button>`;
  return html(
    200,
    `<!DOCTYPE html><title>Authorize</title><form method="post" action="/login/oauth/grant">${inputs}${buttons}</form>`,
    visitor.headers,
  );
}

/** `POST /login/oauth/grant`: what the consent page sends. */
export function grant(call: Call, visitor: Visitor & { readonly form: URLSearchParams }): Reply {
  const { form, userId } = visitor;
  const application = of(call).applications.find((one) => one.clientId === form.get("client_id"));
  const redirect = form.get("redirect_uri") ?? "";
  if (
    application === undefined ||
    userId === null ||
    !application.redirects.some((one) => same(one, redirect))
  )
    return html(400, "<!DOCTYPE html><p>Not authorized");
  if (form.get("granted") !== "true")
    return goBack(redirect, form.get("state") ?? "", {
      error: "access_denied",
      error_description: "the request is denied",
    });
  of(call).grants.set(`${application.id} ${userId}`, form.get("scope") ?? "");
  const code = newCode(call, { application, userId, challenge: null });
  return goBack(redirect, form.get("state") ?? "", { code });
}

function newCode(call: Call, code: Code): string {
  const made = `gta_${randomBytes(20).toString("hex")}`;
  of(call).codes.set(made, code);
  return made;
}

function goBack(redirect: string, state: string, answer: Record<string, string>): Reply {
  const url = new URL(redirect);
  for (const [name, value] of Object.entries({ ...answer, state })) url.searchParams.set(name, value);
  return { ...bare(303), headers: { Location: url.href } };
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}

const fault = (error: string, description: string) => json(400, { error, error_description: description });

/** `POST /login/oauth/access_token`. Credentials in a header are read as they stand there, undecoded. */
function accessToken(call: Call): Reply {
  const form = new URLSearchParams(call.text);
  const [kind, basic = ""] = (call.headers.authorization ?? "").split(" ");
  const [user = "", password = ""] =
    kind === "Basic" ? Buffer.from(basic, "base64").toString().split(":") : [];
  const clientId = form.get("client_id") ?? user;
  const application = of(call).applications.find((one) => one.clientId === clientId);
  if (application === undefined)
    return fault("invalid_client", `cannot load client with client id: "${clientId}"`);
  if ((form.get("client_secret") ?? password) !== application.secret)
    return fault("unauthorized_client", "invalid client secret");
  if (form.get("grant_type") !== "authorization_code")
    return fault(
      "unsupported_grant_type",
      "Only refresh_token or authorization_code grant type is supported",
    );
  const given = form.get("code") ?? "";
  const code = of(call).codes.get(given);
  if (code === undefined) return fault("unauthorized_client", "client is not authorized");
  const verifier = createHash("sha256")
    .update(form.get("code_verifier") ?? "")
    .digest("base64url");
  if (code.challenge !== null && code.challenge !== verifier)
    return fault("unauthorized_client", "failed PKCE code challenge");
  if (code.application !== application) return fault("invalid_grant", "invalid grant");
  of(call).codes.delete(given);
  const token = `${randomBytes(12).toString("hex")}.${randomBytes(12).toString("hex")}`;
  of(call).tokens.set(token, code.userId);
  return json(200, {
    access_token: token,
    token_type: "bearer",
    expires_in: 3600,
    refresh_token: `r.${token}`,
  });
}

/** `GET /login/oauth/userinfo`. */
function userinfo(call: Call): Reply {
  const token = /^Bearer (.+)$/i.exec(call.headers.authorization ?? "")?.[1] ?? "";
  const id = of(call).tokens.get(token);
  const user: User | null = id === undefined ? null : call.world.user(id);
  if (user === null || !user.isActive)
    return { ...bare(401), headers: { "WWW-Authenticate": 'Bearer realm=""' } };
  const { login } = user;
  return json(200, {
    sub: String(user.id),
    name: login,
    preferred_username: login,
    email: `${login}@example.org`,
    picture: "",
  });
}

/** Of the API: who signs in to others through this server. */
export const OAUTH_API_ROUTES: readonly Route[] = [
  { method: "POST", path: "/user/applications/oauth2", handler: makeApplication },
  { method: "GET", path: "/user/applications/oauth2", handler: listApplications },
  { method: "DELETE", path: "/user/applications/oauth2/:id", handler: removeApplication },
];

/** What programs ask for; the pages stand with the others. */
export const OAUTH_ROUTES: readonly Route[] = [
  { method: "POST", path: "/login/oauth/access_token", handler: accessToken },
  { method: "GET", path: "/login/oauth/userinfo", handler: userinfo },
];
