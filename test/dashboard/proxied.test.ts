import { chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AGENTS } from "../e2e/agents.ts";
import { Browser } from "../e2e/browser.ts";
import { Stage, type Thread } from "../e2e/stage.ts";
import { needs } from "../machine.ts";
import { startTlsProxy, type TlsProxy } from "./tls-proxy.ts";
import { consent, makeApplication, Visitor } from "./visitor.ts";

const SLOW_MS = 240_000;

describe.each([
  ["at a name of its own", "", false, "__Host-lazarus"],
  ["below a path that the proxy passes on", "/lazarus", false, "__Secure-lazarus"],
  ["below a path that the proxy takes away", "/lazarus", true, "__Secure-lazarus"],
] as const)("behind a proxy that speaks https, %s", (_, base, strips, cookie) => {
  let proxy: TlsProxy;
  let stage: Stage;
  let publicUrl: string;
  let thread: Thread;
  let cell: string;
  let lead: Visitor;

  beforeAll(async () => {
    proxy = await startTlsProxy(base, strips);
    stage = await Stage.set({ serve: false });
    const { server, lazarus, bot } = stage;
    proxy.to = lazarus.listen;
    publicUrl = server.url.replace("127.0.0.1", "localhost");
    const login = await makeApplication(server, bot, `${proxy.url}/login/callback`);
    await lazarus.configure({
      ...{ forgeUrl: server.url, token: bot.token, agents: AGENTS, forge: { public_url: publicUrl } },
      directors: [stage.lead.login],
      more: {
        server: { listen: lazarus.listen, url: proxy.url },
        limits: { grace: "2s", revives: 0 },
        login,
      },
    });
    await lazarus.serve();
    thread = await stage.openIssue("Make the parser accept empty input");
    await stage.type(stage.dev, thread, "/lazarus summon allegro");
    cell = await stage.cellId(thread);
    await stage.card(thread, /is done/);
  }, SLOW_MS);
  afterAll(async () => {
    await stage?.strike();
    proxy?.stop();
  });

  const at = (path: string) => `${proxy.url}${path}`;
  /** The cookies that an answer sets, by name. */
  const cookiesOf = (headers: Readonly<Record<string, string | string[] | undefined>>) =>
    new Map([headers["set-cookie"] ?? []].flat().map((line) => [line.split("=")[0] ?? "", line]));

  it("lets people sign in through the forge under the name that browsers know", async () => {
    lead = new Visitor(proxy.url);
    const begun = await lead.ask(at("/login/start?to=/cells"));
    expect(String(begun.headers.location)).toMatch(new RegExp(`^${publicUrl}/login/oauth/authorize\\?`));
    expect(cookiesOf(begun.headers).get(`${cookie}-login`)).toContain(
      `; Path=${base}/; Max-Age=600; HttpOnly; SameSite=Lax; Secure`,
    );
    const forge = new Browser(stage.server.url);
    await forge.login(stage.lead);
    const back = await consent(forge, String(begun.headers.location));
    expect(back).toMatch(new RegExp(`^${proxy.url}/login/callback\\?`));
    const came = await lead.ask(back);
    expect(came.headers.location).toBe(`${base}/cells`);
    expect(cookiesOf(came.headers).get(cookie)).toMatch(/; HttpOnly; SameSite=Lax; Secure$/);
    expect((await lead.ask(at("/cells"))).text).toContain(cell.slice(0, 8));
  });

  it("leads nowhere but to itself and to the forge's public name", async () => {
    const { server } = stage;
    for (const path of ["/", "/cells", `/cells/${cell}`, `/cells/${cell}/close`, "/queue", "/me"]) {
      const { status, text, headers } = await lead.ask(at(path));
      expect([path, status]).toEqual([path, 200]);
      const links = [...text.matchAll(/(?:href|src|action)="([^"#][^"]*)"/g)].map(([, link = ""]) => link);
      expect(
        links.filter((link) => !(link.startsWith(`${base}/`) || link.startsWith(`${publicUrl}/`))),
      ).toEqual([]);
      expect(text).not.toContain(server.url);
      expect(headers["strict-transport-security"]).toContain("max-age=");
      expect(text).not.toContain("plain http");
    }
    const { text } = await lead.ask(at("/"));
    const files = [...text.matchAll(/"([^"]*\/static\/[^"]+)"/g)].map(([, file = ""]) => file);
    expect(files).toHaveLength(3);
    for (const file of files) expect((await lead.ask(file)).status).toBe(200);
  });

  it("does what its forms say, and nothing that another site's say", async () => {
    const held = await lead.post(at("/hold"), { why: "an upgrade" });
    expect([held.status, held.headers.location]).toEqual([303, expect.stringMatching(`^${base}/`)]);
    const { origin } = new URL(proxy.url);
    const resumed = await lead.ask(at("/resume"), { form: {}, headers: { origin } });
    expect(resumed.status).toBe(303);
    for (const headers of [{ origin: `http://${stage.lazarus.listen}` }, { "sec-fetch-site": "same-site" }])
      expect((await lead.ask(at("/hold"), { form: {}, headers })).status).toBe(403);
  });

  it("takes deliveries and probes there, too", async () => {
    const stranger = new Visitor(proxy.url);
    expect((await stranger.ask(at("/healthz"))).status).toBe(200);
    expect(JSON.parse((await stranger.ask(at("/readyz"))).text)).toEqual({ ready: true });
    const headers = { "content-type": "application/json", "x-gitea-event": "issues" };
    const delivered = await stranger.ask(at("/webhooks/gitea"), { method: "POST", headers });
    expect(delivered.status).toBe(401);
    expect((await stranger.ask(at("/nothing"))).status).toBe(404);
  });

  it("says what a proxy must do that passes on no name", async () => {
    proxy.passesHost = false;
    const { status, text } = await lead.ask(at("/"));
    proxy.passesHost = true;
    expect([status, text]).toEqual([421, expect.stringContaining("proxy_set_header Host")]);
  });

  it(
    "in a real browser: the link opens it, the cookie is kept, a page follows, a form works",
    needs("chromium", "openssl"),
    async () => {
      const [link = ""] = (await stage.lazarus.cli("open")).stdout.split("\n");
      expect(link).toMatch(new RegExp(`^${proxy.url}/login/once\\?key=`));
      const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
      try {
        const context = await browser.newContext({ ignoreHTTPSErrors: true });
        const page = await context.newPage();
        await page.goto(link);
        expect(page.url()).toBe(at("/"));
        const [kept] = (await context.cookies()).filter(({ name }) => name === cookie);
        expect(kept).toMatchObject({ secure: true, httpOnly: true, path: `${base}/`, sameSite: "Lax" });
        expect((await stage.lazarus.cli("hold", "a look")).code).toBe(0);
        await page.getByText("No new run starts").waitFor();
        await page.goto(at("/resume"));
        await page.getByRole("button", { name: "Let runs start again" }).click();
        await page.waitForURL((url) => !url.pathname.endsWith("/resume"));
        await page.goto(at("/"));
        expect(await page.getByText("No new run starts").count()).toBe(0);
      } finally {
        await browser.close();
      }
    },
  );
});
