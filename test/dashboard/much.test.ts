import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FILES } from "../../src/dashboard/static-files.ts";
import { createDashboardRig, type DashboardRig } from "./dashboard-rig.ts";
import { fillWithCells } from "./many-cells.ts";
import type { Visitor } from "./visitor.ts";

const CELLS = 10_000;
let rig: DashboardRig;
let operator: Visitor;

beforeAll(async () => {
  rig = await createDashboardRig();
  operator = rig.visitor({ id: null, login: "operator root" });
  fillWithCells(rig, CELLS);
}, 120_000);
afterAll(async () => {
  await rig.stop();
});

it.each(["/", "/cells", "/cells?q=number+7", "/cells?before=5000", "/queue", "/audit"])(
  "%s of 10,000 cells is at most 10 KB on the wire",
  async (path) => {
    const page = await operator.ask(path);
    expect(page.status).toBe(200);
    expect(page.bytes).toBeLessThan(10 * 1024);
  },
);

it("Now says how many it does not show", async () => {
  expect((await operator.ask("/")).text).toMatch(/\d+ more are not shown here/);
});

it("a list is read to its end, page by page, each cell once", async () => {
  const seen = new Set<string>();
  let path: string | undefined = "/cells?state=archived";
  for (let pages = 0; path !== undefined && pages < 100; pages++) {
    const { text } = await operator.ask(path);
    for (const [, id = ""] of text.matchAll(/id="cell-([0-9a-f]{8})"/g)) {
      expect(seen.has(id)).toBe(false);
      seen.add(id);
    }
    path = /<a class="button" href="([^"]+)" rel="next">/.exec(text)?.[1]?.replaceAll("&amp;", "&");
  }
  expect(seen.size).toBe(CELLS / 4);
});

it("scripts are at most 15 KB and styles 8 KB, packed", () => {
  const size = (end: string) =>
    gzipSync([...FILES].find(([path]) => path.endsWith(end))?.[1].bytes ?? Buffer.alloc(1 << 20)).length;
  expect(size(".js")).toBeLessThan(15 * 1024);
  expect(size(".css")).toBeLessThan(8 * 1024);
});
