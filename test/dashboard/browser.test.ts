import { join } from "node:path";
import axe from "axe-core";
import Database from "better-sqlite3";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { operatorOf, signIn, stageWithLogin, Visitor } from "./visitor.ts";

const SLOW_MS = 240_000;
const NARROW = { width: 320, height: 640 };
const WIDE = { width: 1280, height: 800 };
/** Where pictures for the README go, made by this test: `LAZARUS_SCREENSHOTS=docs/images`. */
const PICTURES = process.env.LAZARUS_SCREENSHOTS;

let stage: Stage;
let browser: Browser;
let cell: string;
let people: Record<string, Visitor>;

describe("in a real browser", needs("chromium"), () => {
  beforeAll(async () => {
    stage = await stageWithLogin();
    browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    const at = await stage.openIssue("Make the parser accept empty input");
    await stage.type(stage.dev, at, "/lazarus summon allegro");
    cell = await stage.cellId(at);
    await stage.card(at, /is done/);
    const asked = await stage.openIssue("‮<script>alert(1)</script> \u0007 ברירת מחדל", { as: stage.reader });
    await stage.type(stage.dev, asked, "/lazarus summon allegro");
    await stage.cellId(asked);
    people = {
      nobody: new Visitor(stage.lazarus.url),
      reader: await signIn(stage, stage.reader),
      dev: await signIn(stage, stage.dev),
      lead: await signIn(stage, stage.lead),
      operator: await operatorOf(stage.lazarus),
    };
  }, SLOW_MS);
  afterAll(async () => {
    await browser?.close();
    await stage?.strike();
  });

  const paths = () => [
    ...[
      "/",
      "/cells",
      "/cells?state=idle",
      "/queue",
      "/agents",
      "/audit",
      "/health",
      "/me",
      "/help",
      "/summon",
      "/hold",
    ],
    ...[
      "",
      "/runs",
      "/runs/1",
      "/runs/1?view=raw",
      "/history",
      "/diff",
      "/brief",
      "/artifacts",
      "/close",
      "/tell",
    ].map((end) => `/cells/${cell}${end}`),
    "/cells/0000dead",
  ];

  it.each(["nobody", "reader", "dev", "lead", "operator"])(
    "every page is in order for %s: no axe violation, no report of the policy, no sideways scrolling",
    async (who) => {
      const faults: string[] = [];
      // What differs between people is on the same pages: all sizes and colours are looked at as one of them.
      const looks = [[NARROW, "dark"], ...(who === "operator" ? [[WIDE, "light"] as const] : [])] as const;
      for (const [size, scheme] of looks) {
        const context = await open(people[who], { viewport: size, colorScheme: scheme });
        const page = await context.newPage();
        page.on("console", (line) => {
          if (/Content Security Policy/i.test(line.text())) faults.push(`${page.url()}: ${line.text()}`);
        });
        page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
        page.on("dialog", (dialog) => {
          faults.push(`${page.url()}: a dialog says ${dialog.message()}`);
          void dialog.dismiss();
        });
        for (const path of who === "nobody" ? ["/", `/cells/${cell}`, "/login"] : paths()) {
          await page.goto(stage.lazarus.url + path, { waitUntil: "load" });
          faults.push(...(await violations(page)).map((one) => `${who} ${path} ${scheme} ${one}`));
          const wide = Number(await page.evaluate("document.documentElement.scrollWidth - innerWidth"));
          if (wide > 0) faults.push(`${who} ${path}: ${wide} px wider than the screen`);
          const name = { "/": "now", [`/cells/${cell}`]: "cell", "/queue": "queue" }[path];
          if (PICTURES !== undefined && name !== undefined && scheme === "light")
            await page.screenshot({ path: join(PICTURES, `${name}.png`) });
        }
        await context.close();
      }
      expect(faults).toEqual([]);
    },
    SLOW_MS,
  );

  it(
    "focus and what is typed stay where they are through 100 updates",
    async () => {
      const context = await open(people.lead, { viewport: WIDE });
      const page = await context.newPage();
      await page.goto(`${stage.lazarus.url}/cells`);
      const link = page.locator(`#cell-${cell.slice(0, 8)} a`).first();
      await link.focus();
      await page.fill("#q", "half a word");
      await link.focus();
      const sql = new Database(join(stage.lazarus.dataDir, "lazarus.db"));
      const title = page.locator(`#cell-${cell.slice(0, 8)} .title`);
      for (let n = 1; n <= 100; n++) {
        sql.prepare("UPDATE cells SET title = @title WHERE id = @cell").run({ title: `Title ${n}`, cell });
        await until(`update ${n} is shown`, async () => (await title.textContent()) === `Title ${n}`);
      }
      sql.close();
      expect(await page.evaluate("document.activeElement.closest('tr')?.id")).toBe(
        `cell-${cell.slice(0, 8)}`,
      );
      expect(await page.inputValue("#q")).toBe("half a word");
      await context.close();
    },
    SLOW_MS,
  );

  it(
    "a form opens in a dialog, by keyboard alone, and gives the focus back",
    async () => {
      const context = await open(people.lead, { viewport: WIDE });
      const page = await context.newPage();
      await page.goto(`${stage.lazarus.url}/cells/${cell}`);
      await page.keyboard.press("Tab");
      expect(await page.evaluate("document.activeElement.textContent")).toBe("To the content");
      await page.locator(`a[href$="/extend"]`).focus();
      await page.keyboard.press("Enter");
      await page.locator("dialog[open] button.main").waitFor();
      await page.keyboard.press("Escape");
      await page.locator("dialog").waitFor({ state: "detached" });
      expect(await page.evaluate("document.activeElement.getAttribute('href')")).toContain("/extend");
      await page.keyboard.press("Enter");
      await page.locator("dialog[open] button.main").click();
      await page.locator(".banner.good").waitFor();
      expect(await page.locator(".banner.good").textContent()).toContain("ends 20");
      await context.close();
    },
    SLOW_MS,
  );

  it(
    "works without JavaScript",
    async () => {
      const context = await open(people.lead, { viewport: NARROW, javaScriptEnabled: false });
      const page = await context.newPage();
      await page.goto(`${stage.lazarus.url}/cells/${cell}`);
      expect(await page.locator("noscript").textContent()).toContain("Reload to see what changed");
      await page.locator(`a[href$="/extend"]`).click();
      await page.locator("button.main").click();
      expect(await page.locator(".banner.good").textContent()).toContain("ends 20");
      await context.close();
    },
    SLOW_MS,
  );

  it(
    "keys go places, and do not where somebody switched them off",
    async () => {
      const context = await open(people.dev, { viewport: WIDE });
      const page = await context.newPage();
      await page.goto(`${stage.lazarus.url}/`);
      await page.keyboard.press("g");
      await page.keyboard.press("c");
      await page.waitForURL("**/cells");
      await page.goto(`${stage.lazarus.url}/me`);
      await page.uncheck("[name=keys]");
      await page.click("text=Keep");
      await page.keyboard.press("g");
      await page.keyboard.press("c");
      await page.waitForLoadState();
      expect(new URL(page.url()).pathname).toBe("/me");
      await context.close();
    },
    SLOW_MS,
  );
});

async function open(
  visitor: Visitor | undefined,
  options: Parameters<Browser["newContext"]>[0],
): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  const cookies = [...(visitor?.cookies ?? [])].filter(([, value]) => value !== "");
  await context.addCookies(cookies.map(([name, value]) => ({ name, value, url: stage.lazarus.url })));
  return context;
}

/** What axe finds, rule and place. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as axe.AxeResults;
  return found.violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`,
  );
}
