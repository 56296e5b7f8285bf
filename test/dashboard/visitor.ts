import { request } from "node:http";
import { gunzipSync } from "node:zlib";
import type { Lazarus } from "../e2e/lazarus.ts";

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
      const asked = request(url, { method: body === null ? method : "POST", headers: all }, (answer) => {
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
