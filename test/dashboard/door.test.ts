import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Stage } from "../e2e/stage.ts";
import { operatorOf, Visitor } from "./visitor.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set({ hook: false });
});
afterAll(async () => {
  await stage.strike();
});

const PAGES = [..."/ /cells /queue /agents /audit /health /me /help /summon".split(" "), "/cells/4f1c0b7e"];

describe("nobody is let in without a login, on this machine neither", () => {
  it.each([...PAGES, "/cells/4f1c0b7e/runs/1", "/audit.csv", "/cells/4f1c0b7e/runs/1/log.txt"])(
    "%s",
    async (path) => {
      const seen = await new Visitor(stage.lazarus.url).ask(path);
      expect(seen.status).toBe(401);
      expect(seen.text).toContain("Sign in");
      expect(seen.text).not.toMatch(/acme|allegro/);
    },
  );

  it("nor to a stream", async () => {
    expect((await new Visitor(stage.lazarus.url).ask("/events?on=/")).status).toBe(401);
  });

  it("nor by a form", async () => {
    const seen = await new Visitor(stage.lazarus.url).post("/hold", { why: "mischief" });
    expect(seen.status).toBe(401);
    expect(seen.text).toContain("What a form held was not done");
    expect((await stage.lazarus.cli("status")).stdout).not.toContain("held");
  });

  it("nor by a cookie that somebody made up", async () => {
    const visitor = new Visitor(stage.lazarus.url);
    visitor.cookies.set("lazarus", "A".repeat(43));
    expect((await visitor.ask("/")).status).toBe(401);
  });
});

describe("a one-time link", () => {
  it("opens the dashboard once", async () => {
    const { stdout } = await stage.lazarus.cli("open");
    const [url = ""] = stdout.split("\n");
    const first = new Visitor(stage.lazarus.url);
    const came = await first.ask(url);
    expect(came.status).toBe(303);
    const [cookie = ""] = came.headers["set-cookie"] ?? [];
    expect(cookie).toMatch(/^lazarus=[\w-]{43}; Path=\/; Max-Age=28800; HttpOnly; SameSite=Lax$/);
    expect((await first.ask("/")).status).toBe(200);
    const second = new Visitor(stage.lazarus.url);
    const again = await second.ask(url);
    expect(again.status).toBe(403);
    expect(again.text).toContain("it was used, is older than a minute");
    expect((await second.ask("/")).status).toBe(401);
  });

  it("is no link where it was made up", async () => {
    const seen = await new Visitor(stage.lazarus.url).ask(`/login/once?key=${"A".repeat(43)}`);
    expect(seen.status).toBe(403);
  });

  it("gives every page to the operator", async () => {
    const operator = await operatorOf(stage.lazarus);
    for (const path of PAGES.slice(0, -1)) {
      const seen = await operator.ask(path);
      expect([path, seen.status, seen.text]).toEqual([path, 200, expect.stringContaining("<h1")]);
      expect(seen.headers["content-security-policy"]).toBe(
        "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';form-action 'self';base-uri 'none';frame-ancestors 'none'",
      );
      expect(seen.headers["cache-control"]).toBe("no-store");
      expect(seen.text).not.toMatch(/<script>|<style|\son\w+=|style="/);
    }
  });

  it("is over when one signs out", async () => {
    const operator = await operatorOf(stage.lazarus);
    const cookie = new Map(operator.cookies);
    expect((await operator.post("/logout", {})).text).toContain("You are signed out here");
    for (const [name, value] of cookie) operator.cookies.set(name, value);
    const seen = await operator.ask("/");
    expect([seen.status, seen.text]).toEqual([401, expect.stringContaining("your session is over")]);
  });
});

describe("requests that are not ours", () => {
  let operator: Visitor;
  beforeAll(async () => {
    operator = await operatorOf(stage.lazarus);
  });

  it("under another name are not answered", async () => {
    const seen = await operator.ask("/", { headers: { host: "evil.example:8420" } });
    expect([seen.status, seen.text]).toEqual([421, expect.stringContaining("server.url")]);
  });

  it.each([
    ["another site's form", { "sec-fetch-site": "cross-site" }],
    ["a form of the same machine on another port", { "sec-fetch-site": "same-site" }],
    ["a form whose page is told by its origin", { origin: "http://evil.example" }],
    ["a form that tells nothing", {}],
    ["a form of nobody's page", { origin: "null" }],
  ])("%s does nothing", async (_, headers) => {
    const seen = await operator.ask("/hold", { form: { why: "mischief" }, headers });
    expect(seen.status).toBe(403);
    expect((await operator.ask("/queue")).text).not.toContain("held by");
  });

  it("a form of our own page, told by its origin, does what it says, and says it everywhere", async () => {
    const origin = stage.lazarus.url;
    const held = await operator.follow(
      await operator.ask("/hold", { form: { why: "an upgrade" }, headers: { origin } }),
    );
    expect(held.text).toContain("(an upgrade)");
    expect((await operator.ask("/")).text).toContain("No new run starts: held by");
    const after = await operator.follow(await operator.post("/resume", {}));
    expect(after.text).not.toContain("No new run starts");
    const audit = await operator.ask("/audit?verb=hold");
    expect(audit.text).toContain("hold an upgrade");
  });

  it("a form of 100 KB, and an address that is none, are answered", async () => {
    expect((await operator.post("/hold", { why: "x".repeat(100_000) })).status).toBe(413);
    for (const path of [
      "/cells/%ff%fe",
      "/cells/..%2f..%2f",
      "/cells?before=1e999&state=%00",
      "/queue/%F0%9F",
    ])
      expect((await operator.ask(path)).status).toBeLessThan(500);
  });
});
