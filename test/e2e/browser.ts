import { send } from "./request.ts";
import type { E2eUser, RawAnswer } from "./server.ts";

/** Just enough of a browser to log in and submit a form: cookies and the CSRF token that goes with them. */
export class Browser {
  readonly #url: string;
  readonly #cookies = new Map<string, string>();

  constructor(url: string) {
    this.#url = url;
  }

  async login(as: E2eUser): Promise<void> {
    await this.get("/user/login");
    const answer = await this.submit("/user/login", { user_name: as.login, password: as.password });
    if (answer.status !== 303) throw new Error(`logging in as ${as.login} answered ${answer.status}`);
    // The new session has a CSRF token of its own, which comes with the next page.
    await this.get("/");
  }

  get(path: string): Promise<RawAnswer> {
    return this.#send(path, { method: "GET" });
  }

  submit(path: string, fields: Readonly<Record<string, string>>): Promise<RawAnswer> {
    const form = new URLSearchParams({
      _csrf: decodeURIComponent(this.#cookies.get("_csrf") ?? ""),
      ...fields,
    });
    return this.#send(path, {
      method: "POST",
      headers: { "Content-Type": "application/x-www-form-urlencoded" },
      body: form.toString(),
    });
  }

  async #send(
    path: string,
    init: { method: string; headers?: Record<string, string>; body?: string },
  ): Promise<RawAnswer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await send(`${this.#url}${path}`, {
      ...init,
      headers: { ...init.headers, Cookie: cookie },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      this.#cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    return answer;
  }
}
