import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Browser } from "../e2e/browser.ts";
import { HOOK_SECRET } from "../e2e/lazarus.ts";
import { type Stage, seen } from "../e2e/stage.ts";
import { consent, operatorOf, signIn, stageWithLogin, Visitor } from "./visitor.ts";

let stage: Stage;
let cell: string;
let hiddenCell: string;
let dev: Visitor;
let lead: Visitor;
let reader: Visitor;

beforeAll(async () => {
  stage = await stageWithLogin();
  const at = await stage.openIssue("Make the parser accept <b>empty</b> input");
  await stage.type(stage.dev, at, "/lazarus summon allegro");
  cell = await stage.cellId(at);
  await stage.card(at, /is done/);
  const secretRepo = "acme/secret";
  await stage.server.createRepository({ owner: "acme", name: "secret", private: true });
  await stage.server.addCollaborator(secretRepo, stage.lead.login, "admin");
  await stage.server.addCollaborator(secretRepo, stage.bot.login, "admin");
  await stage.server.createHook(secretRepo, stage.hookUrl, HOOK_SECRET);
  const secret = await stage.openIssue("A plan that nobody knows", { as: stage.lead, repo: secretRepo });
  await stage.type(stage.lead, secret, "/lazarus summon allegro");
  hiddenCell = await stage.cellId(secret);
  dev = await signIn(stage, stage.dev);
  lead = await signIn(stage, stage.lead);
  reader = await signIn(stage, stage.reader);
});
afterAll(async () => {
  await stage.strike();
});

describe("people sign in through the forge", () => {
  it("and are who the forge says, with a session of eight hours and no token kept", async () => {
    const seen = await dev.ask("/me");
    expect(seen.text).toContain(`<h1>${stage.dev.login}</h1>`);
    expect(seen.text).toContain("You see the cells of repositories");
  });

  it("and come back to the page they wanted", async () => {
    const visitor = await signIn(stage, stage.dev, "/cells?state=idle");
    expect((await visitor.ask("/cells?state=idle")).status).toBe(200);
  });

  it.each(["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:alert(1)"])(
    "and are never sent to %s",
    async (to) => {
      const visitor = new Visitor(stage.lazarus.url);
      const begun = await visitor.ask(`/login/start?to=${encodeURIComponent(to)}`);
      const forge = new Browser(stage.server.url);
      await forge.login(stage.dev);
      const came = await visitor.ask(await consent(forge, String(begun.headers.location)));
      expect(came.headers.location).toBe("/");
    },
  );

  it("not with the state of another browser, and not twice with one code", async () => {
    const [mine, victim] = [new Visitor(stage.lazarus.url), new Visitor(stage.lazarus.url)];
    const begun = await mine.ask("/login/start?to=/");
    const forge = new Browser(stage.server.url);
    await forge.login(stage.dev);
    const back = await consent(forge, String(begun.headers.location));
    await victim.ask("/login/start?to=/");
    const taken = await victim.ask(back);
    expect([taken.status, taken.text]).toEqual([403, expect.stringContaining("began in another window")]);
    const late = await mine.ask(back);
    expect([late.status, late.text]).toEqual([403, expect.stringContaining("began in another window")]);
  });
});

describe("who says no, or is not believed", () => {
  it("hears that nothing was stored where they said no on the forge", async () => {
    const visitor = new Visitor(stage.lazarus.url);
    const begun = await visitor.ask("/login/start?to=/");
    const url = new URL(String(begun.headers.location));
    const state = url.searchParams.get("state");
    const seen = await visitor.ask(`/login/callback?error=access_denied&state=${state}`);
    expect([seen.status, seen.text]).toEqual([
      403,
      expect.stringContaining("You said no on the forge; nothing was stored."),
    ]);
  });

  it("hears to begin again where the code is none", async () => {
    const visitor = new Visitor(stage.lazarus.url);
    const begun = await visitor.ask("/login/start?to=/");
    const state = new URL(String(begun.headers.location)).searchParams.get("state");
    const seen = await visitor.ask(`/login/callback?code=gta_${"0".repeat(40)}&state=${state}`);
    expect([seen.status, seen.text]).toEqual([403, expect.stringContaining("Begin again")]);
  });
});

describe("what one may not see is as if it were not there", () => {
  it("in lists and counts", async () => {
    const cells = await dev.ask("/cells");
    expect(cells.text).toContain(cell.slice(0, 8));
    for (const who of [dev, reader]) {
      for (const path of [
        "/",
        "/cells",
        "/cells?state=idle",
        "/queue",
        "/agents",
        `/cells?q=${hiddenCell.slice(0, 8)}`,
      ]) {
        const page = await who.ask(path);
        expect([path, page.text]).not.toEqual([path, expect.stringContaining("A plan that nobody knows")]);
        expect([path, page.text]).not.toEqual([path, expect.stringContaining(`/cells/${hiddenCell}`)]);
      }
    }
  });

  it("by its own address, and by any below it", async () => {
    const unknown = `${hiddenCell.slice(0, 4) === "0000" ? "1111" : "0000"}${hiddenCell.slice(4)}`;
    for (const end of [
      "",
      "/runs",
      "/runs/1",
      "/history",
      "/diff",
      "/brief",
      "/artifacts",
      "/close",
      "/runs/1/log.txt",
    ]) {
      const [theirs, none] = [
        await dev.ask(`/cells/${hiddenCell}${end}`),
        await dev.ask(`/cells/${unknown}${end}`),
      ];
      expect([end, theirs.status, none.status]).toEqual([end, 404, 404]);
      const withoutId = (text: string, id: string) => text.replaceAll(id, "ID").replace(/As of [^.]+\./, "");
      expect(withoutId(theirs.text, hiddenCell)).toBe(withoutId(none.text, unknown));
    }
    const acted = await dev.post(`/cells/${hiddenCell}/stop`, { seen: "idle:1:ended" });
    expect(acted.status).toBe(404);
  });

  it("while those who may see it do", async () => {
    expect((await lead.ask(`/cells/${hiddenCell}`)).text).toContain("A plan that nobody knows");
    expect((await (await operatorOf(stage.lazarus)).ask(`/cells/${hiddenCell}`)).status).toBe(200);
  });
});

describe("what one may do is what the forge says", () => {
  it("readers see a cell, and neither its log, diff nor brief", async () => {
    const page = await reader.ask(`/cells/${cell}`);
    expect(page.text).toContain("is done");
    expect(page.text).toContain("&lt;b&gt;empty&lt;/b&gt;");
    expect(page.text).not.toMatch(/<b>empty/);
    for (const end of ["/brief", "/diff", "/artifacts", "/runs/1/log.txt"]) {
      const refused = await reader.ask(`/cells/${cell}${end}`);
      expect([end, refused.status, refused.text]).toEqual([
        end,
        403,
        expect.stringContaining("needs write permission"),
      ]);
    }
    expect((await dev.ask(`/cells/${cell}/brief`)).text).toContain("Please.");
    expect((await dev.ask(`/cells/${cell}/runs/1`)).text).toContain('id="log"');
  });

  it("and a verb that is not theirs is refused in the words of the command, by form and by request", async () => {
    const asked = await dev.ask(`/cells/${cell}/close`);
    expect(asked.status).toBe(403);
    expect(asked.text).toContain("<code>close</code> was not done: ");
    expect(asked.text).toContain("needs a director");
    const forced = await dev.follow(await dev.post(`/cells/${cell}/close`, { seen: "idle:1:ended" }));
    expect(forced.text).toContain("was not done: ");
    expect((await stage.status(cell)).state).toBe("idle");
    const history = await lead.ask(`/cells/${cell}/history`);
    expect(history.text).toContain("close (web)");
  });

  it("no page for operators is for others", async () => {
    for (const path of ["/audit", "/health", "/audit.csv", "/hold"])
      expect([path, (await lead.ask(path)).status]).toEqual([path, 403]);
    const refused = await lead.post("/hold", { why: "mischief" });
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining("it is for operators")]);
  });

  it("a button does what the command does, once, and not to what has changed", async () => {
    const form = await lead.ask(`/cells/${cell}/extend`);
    const seenThen = /name="seen" value="([^"]+)"/.exec(form.text)?.[1] ?? "";
    const before = String((await stage.status(cell)).expires_at);
    const done = await lead.follow(await lead.post(`/cells/${cell}/extend`, { seen: seenThen, for: "4h" }));
    expect(done.text).toMatch(/ends 20\d\d-/);
    expect(Date.parse(String((await stage.status(cell)).expires_at)) - Date.parse(before)).toBe(
      4 * 3_600_000,
    );
    const stale = await lead.post(`/cells/${cell}/extend`, { seen: "active:1:running", for: "4h" });
    expect([stale.status, stale.text]).toEqual([409, expect.stringContaining("was not done. Look again.")]);
    const destroy = await lead.post(`/cells/${cell}/destroy`, { seen: seenThen, confirm: cell.slice(0, 8) });
    expect(destroy.status).toBe(409);
  });

  it("a cell that a page asks for is made as one that a comment asks for", async () => {
    const at = await stage.openIssue("Another one");
    const page = await dev.follow(
      await dev.post("/summon", { target: `${at.repo}#${at.number}`, agent: "allegro" }),
    );
    expect(page.text).toContain("allegro");
    await stage.card(at, /is done/);
    const refused = await reader.post("/summon", { target: `${at.repo}#${at.number}`, agent: "allegro" });
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining("was not summoned")]);
    const none = await reader.post("/summon", { target: "acme/secret", agent: "allegro" });
    expect(none.text).toContain("There is no repository");
  });
});

describe("a stream", () => {
  it("ends when the session ends, and shows nothing after it", async () => {
    const visitor = await signIn(stage, stage.dev);
    const other = new Visitor(stage.lazarus.url);
    for (const [name, value] of visitor.cookies) other.cookies.set(name, value);
    const streamed = visitor.ask(`/events?on=${encodeURIComponent(`/cells/${cell}`)}`);
    await seen("the stream", async () => String((await other.ask("/me")).status), "200");
    await other.post("/logout", {});
    const { text } = await streamed;
    expect(text).toContain("event: page");
    expect(text).toContain("is done");
    expect(text.trim().endsWith('event: bye\ndata: {"why":"signed-out"}')).toBe(true);
  });

  it("of what one may not see says nothing", async () => {
    const { text } = await dev.ask(`/events?on=${encodeURIComponent(`/cells/${hiddenCell}`)}`);
    expect(text).toContain('event: bye\ndata: {"why":"no-right"}');
    expect(text).not.toContain("event: page");
  });
});
