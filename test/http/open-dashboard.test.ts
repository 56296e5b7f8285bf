import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Visitor } from "../dashboard/visitor.ts";
import { Stage } from "../e2e/stage.ts";

let stage: Stage;
const dirs: string[] = [];
beforeAll(async () => {
  stage = await Stage.set({ hook: false, serve: false });
});
afterAll(async () => {
  await stage.strike();
  for (const dir of dirs) rmSync(dir, { recursive: true });
});

/** The sources of every script that `serve` read until it ended, after `act`. */
async function sourcesRead(act: () => Promise<unknown>): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), "lazarus read-"));
  dirs.push(dir);
  await stage.lazarus.serve({ env: { NODE_V8_COVERAGE: dir } });
  await act();
  await stage.lazarus.end();
  const scripts = readdirSync(dir).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(dir, name), "utf8")) as { result: { url: string }[] };
    return result.flatMap(({ url }) => (url.startsWith("file:") ? [fileURLToPath(url)] : []));
  });
  const maps = [...new Set(scripts)].map((file) => `${file}.map`).filter((map) => existsSync(map));
  const sources = maps.flatMap(
    (map) => (JSON.parse(readFileSync(map, "utf8")) as { sources: string[] }).sources,
  );
  return [...scripts, ...sources];
}

/** What of the dashboard, and of what it alone depends on, is among sources. */
function dashboardIn(sources: readonly string[]): string[] {
  const found = sources.flatMap(
    (source) =>
      /src\/(?:dashboard|metrics\/prometheus).*|(?<=node_modules\/)(?:hono|helmet|express-rate-limit|oauth4webapi|prom-client)(?=\/)/.exec(
        source,
      )?.[0] ?? [],
  );
  return [...new Set(found)].sort();
}

it("a server that nobody asks for a page has read nothing of the dashboard", async () => {
  const sources = await sourcesRead(async () => {});
  expect(sources.some((source) => source.endsWith("src/app.ts"))).toBe(true);
  // `lazarus open` makes links, `doctor` and `setup` look at the redirect: a file each, without dependencies.
  expect(dashboardIn(sources)).toEqual(["src/dashboard/place.ts", "src/dashboard/sessions.ts"]);
});

it("nor of clients for what is elsewhere: of an S3, of a Redis", async () => {
  const sources = await sourcesRead(async () => {});
  const elsewhere = /node_modules\/(@aws-sdk|@smithy|bullmq|ioredis)\/|src\/seals\/bucket\.ts$/;
  expect(sources.filter((source) => elsewhere.test(source))).toEqual([]);
});

it("and reads it when somebody does", async () => {
  const found = dashboardIn(await sourcesRead(() => new Visitor(stage.lazarus.url).ask("/login")));
  expect(found).toEqual(
    expect.arrayContaining(["src/dashboard/dashboard.ts", "helmet", "hono", "oauth4webapi"]),
  );
});
