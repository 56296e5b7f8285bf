import { request } from "node:http";
import { request as requestTls } from "node:https";
import { gunzipSync } from "node:zlib";
import { AGENTS } from "../e2e/agents.ts";
import { Browser } from "../e2e/browser.ts";
import type { Lazarus } from "../e2e/lazarus.ts";
import { send } from "../e2e/request.ts";
import type { E2eServer, E2eUser } from "../e2e/server.ts";
import { Stage } from "../e2e/stage.ts";

/** An answer as a browser sees it. */
export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** As it came over the wire. */
  readonly bytes: number;
}

interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: Readonly<Record<string, string>>;
}

/** Somebody with a browser that keeps cookies and follows nothing by itself. */
export class Visitor {
  readonly url: string;
  readonly cookies = new Map<string, string>();

  constructor(url: string) {
    this.url = url;
  }

  /** Asks for a path, or an address of another server. */
  async ask(path: string, { method = "GET", headers = {}, form }: Sent = {}): Promise<Seen> {
    const url = new URL(path, this.url);
    const body = form === undefined ? null : new URLSearchParams(form).toString();
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const all = {
      "accept-encoding": "gzip",
      ...(cookie === "" ? {} : { cookie }),
      ...(body === null ? {} : { "content-type": "application/x-www-form-urlencoded" }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const options = { method: body === null ? method : "POST", headers: all, rejectUnauthorized: false };
      const asked = (url.protocol === "https:" ? requestTls : request)(url, options, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => {
          for (const line of answer.headers["set-cookie"] ?? []) {
            const [pair = ""] = line.split(";");
            const at = pair.indexOf("=");
            this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
          }
          const whole = Buffer.concat(parts);
          const isPacked = answer.headers["content-encoding"] === "gzip";
          const text = (isPacked ? gunzipSync(whole) : whole).toString("utf8");
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, bytes: whole.length });
        });
      });
      asked.on("error", reject);
      asked.end(body);
    });
  }

  /** Sends a form as a page of the dashboard does. */
  post(path: string, form: Readonly<Record<string, string>>): Promise<Seen> {
    return this.ask(path, { form, headers: { "sec-fetch-site": "same-origin" } });
  }

  /** Goes where an answer leads, until one is a page. */
  async follow(seen: Seen): Promise<Seen> {
    let at = seen;
    for (let step = 0; step < 10 && at.headers.location !== undefined; step++)
      at = await this.ask(String(at.headers.location));
    return at;
  }
}

/** The operator, who came in by a one-time link. */
export async function operatorOf(lazarus: Lazarus): Promise<Visitor> {
  const visitor = new Visitor(lazarus.url);
  const { url } = JSON.parse((await lazarus.cli("open", "--json")).stdout) as { url: string };
  const seen = await visitor.follow(await visitor.ask(url));
  if (seen.status !== 200) throw new Error(`the link did not open anything: ${seen.status} ${seen.text}`);
  return visitor;
}

/** Makes the OAuth2 application of a dashboard on a server, as the bot; answers what the configuration needs. */
export async function makeApplication(
  server: Pick<E2eServer, "url">,
  bot: Pick<E2eUser, "login" | "password">,
  redirect: string,
): Promise<{ client_id: string; client_secret: string }> {
  const answer = await send(`${server.url}/api/v1/user/applications/oauth2`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Authorization: `Basic ${Buffer.from(`${bot.login}:${bot.password}`).toString("base64")}`,
    },
    body: JSON.stringify({ name: "Lazarus", redirect_uris: [redirect], confidential_client: true }),
  });
  const { client_id, client_secret } = JSON.parse(answer.text) as Record<string, string>;
  if (client_id === undefined || client_secret === undefined)
    throw new Error(`no application was made: ${answer.status} ${answer.text}`);
  return { client_id, client_secret };
}

/** The forge's own pages, on the way from the dashboard and back: where its last answer leads. */
export async function consent(forge: Browser, url: string, granted = "true"): Promise<string> {
  const { pathname, search } = new URL(url);
  let answer = await forge.get(`${pathname}${search}`);
  if (answer.status === 200) {
    const inputs = [...answer.text.matchAll(/<input type="hidden" name="([\w-]+)" value="([^"]*)"/g)];
    const fields = inputs.map(([, name = "", value = ""]) => [name, decoded(value)] as const);
    const form = Object.fromEntries(fields.filter(([name]) => name !== "_csrf"));
    answer = await forge.submit("/login/oauth/grant", { ...form, granted });
  }
  const to = answer.headers.get("location");
  if (to === null)
    throw new Error(`the forge leads nowhere: ${answer.status} ${answer.text.slice(0, 2_000)}`);
  return to;
}

function decoded(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

/** Signs somebody in through the forge, as a browser goes about it. */
export async function signIn(stage: Stage, person: E2eUser, to = "/"): Promise<Visitor> {
  const visitor = new Visitor(stage.lazarus.url);
  const begun = await visitor.ask(`/login/start?to=${encodeURIComponent(to)}`);
  const forge = new Browser(stage.server.url);
  await forge.login(person);
  const back = await consent(forge, String(begun.headers.location));
  const came = await visitor.ask(back);
  if (came.headers.location !== to) throw new Error(`not signed in: ${came.status} ${came.text}`);
  return visitor;
}

/** A stage whose dashboard people sign in to through the forge. */
export async function stageWithLogin(more: Readonly<Record<string, unknown>> = {}): Promise<Stage> {
  const stage = await Stage.set({ serve: false });
  const { server, lazarus, bot } = stage;
  const login = await makeApplication(server, bot, `http://${lazarus.listen}/login/callback`);
  await lazarus.configure({
    ...{ forgeUrl: server.url, token: bot.token, agents: AGENTS },
    more: { server: { listen: lazarus.listen }, limits: { grace: "2s", revives: 0 }, login, ...more },
  });
  await lazarus.serve();
  return stage;
}
