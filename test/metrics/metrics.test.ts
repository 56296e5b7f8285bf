import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FAMILIES } from "../../src/metrics/families.ts";
import { freePort, Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";

let stage: Stage;
let own: number;
const TOKEN = "a-token-of-the-metrics";

beforeAll(async () => {
  own = await freePort();
  stage = await Stage.set({ serve: false });
  await stage.reconfigure({
    metrics: { listen: `127.0.0.1:${own}`, token: TOKEN },
    agents: { demo: { preset: "demo", backend: "process" } },
  });
  await stage.lazarus.serve();
});
afterAll(() => stage?.strike());

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
async function scrape(): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${own}/metrics`);
  expect(answer.headers.get("content-type")).toContain("text/plain");
  return answer.text();
}
/** The sum of all values of a family whose labels hold these. */
function value(text: string, name: string, ...labels: string[]): number {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  const fitting = lines.filter((line) => labels.every((label) => line.includes(label)));
  return fitting.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

describe("/metrics", () => {
  it("is closed to strangers on the server's address, and open with the token", async () => {
    const url = `${stage.lazarus.url}/metrics`;
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, bearer("another"))).status).toBe(401);
    expect((await fetch(url, bearer(""))).status).toBe(401);
    const answer = await fetch(url, bearer(TOKEN));
    expect(answer.status).toBe(200);
    expect(await answer.text()).not.toContain(TOKEN);
    expect((await fetch(`http://127.0.0.1:${own}/`)).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${own}/metrics`, { method: "POST" })).status).toBe(404);
  });

  it("has every family that is promised, and no other of ours", async () => {
    const text = await scrape();
    const named = [...text.matchAll(/^# TYPE lazarus_(\w+) (\w+)$/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    expect(named.sort()).toEqual(FAMILIES.map((one) => `${one.name} ${one.type}`).sort());
    expect(text).toMatch(/^process_resident_memory_bytes /m);
    expect(value(text, "lazarus_ready")).toBe(1);
    expect(value(text, "lazarus_places")).toBe(8);
    expect(value(text, "lazarus_build_info")).toBe(1);
    expect(value(text, "lazarus_disk_free_bytes", 'of="data"')).toBeGreaterThan(0);
  });

  it("counts what happens: deliveries, commands, runs, pushes, calls", async () => {
    const bad = await fetch(`${stage.lazarus.url}/webhooks/gitea`, {
      ...{ method: "POST", body: "{}" },
      headers: { "content-type": "application/json", "x-gitea-event": "x".repeat(500) },
    });
    expect(bad.status).toBe(401);
    const issue = await stage.openIssue("Count me");
    await stage.type(stage.dev, issue, "/lazarus summon demo");
    await stage.card(issue, /→ draft #\d+/);
    const nobody = await stage.type(stage.reader, issue, "/lazarus summon demo");
    await stage.reacted(issue, nobody, "confused");
    await until("all of it was counted", async () => value(await scrape(), "lazarus_drafts_total") === 1);
    const text = await scrape();
    expect(value(text, "lazarus_deliveries_total", 'result="bad_signature"', 'event="other"')).toBe(1);
    expect(value(text, "lazarus_deliveries_total", 'result="accepted"')).toBeGreaterThan(1);
    expect(value(text, "lazarus_delivery_duration_seconds_count")).toBeGreaterThan(2);
    expect(value(text, "lazarus_commands_total", 'verb="summon"', 'via="forge"', 'result="refused"')).toBe(1);
    expect(value(text, "lazarus_runs_total", 'agent="demo"', 'class="done"', 'automatic="false"')).toBe(1);
    expect(value(text, "lazarus_summon_start_seconds_count")).toBe(1);
    expect(value(text, "lazarus_run_duration_seconds_count", 'agent="demo"')).toBe(1);
    expect(value(text, "lazarus_pushes_total", 'result="pushed"')).toBe(1);
    expect(value(text, "lazarus_forge_requests_total", 'call="react"', 'code="ok"')).toBeGreaterThan(1);
    expect(value(text, "lazarus_job_attempts_total", 'kind="start"', 'result="done"')).toBe(1);
    expect(value(text, "lazarus_command_answer_seconds_count")).toBeGreaterThan(1);
    expect(value(text, "lazarus_cells", 'state="idle"')).toBe(1);
    expect(value(text, "lazarus_catchup_found_total")).toBe(0);
    expect(value(text, "lazarus_refusals_total", 'reason="permission"')).toBe(1);
    expect(value(text, "lazarus_registry_transaction_seconds_count")).toBeGreaterThan(10);
  });

  it("tells what catch-up found and no delivery had told of", async () => {
    await stage.lazarus.end();
    const issue = await stage.openIssue("Typed while it was down");
    await stage.type(stage.dev, issue, "/lazarus status");
    await stage.lazarus.serve();
    await stage.reply(issue, "no cell");
    expect(value(await scrape(), "lazarus_catchup_found_total")).toBe(1);
  });

  it("holds no cell, thread, person or title", async () => {
    const text = await scrape();
    for (const word of ["acme", "Count me", "dev", `${stage.bot.login}"`])
      expect(text).not.toContain(`"${word}`);
  });

  it("is not there where the file has neither key", async () => {
    await stage.lazarus.end();
    await stage.reconfigure({ agents: {} });
    await stage.lazarus.serve();
    expect((await fetch(`${stage.lazarus.url}/metrics`, bearer(TOKEN))).status).toBe(404);
    await expect(fetch(`http://127.0.0.1:${own}/metrics`)).rejects.toThrow();
  });

  it("says so where its address is taken", async () => {
    await stage.lazarus.end();
    const taken = stage.lazarus.listen;
    const { createServer } = await import("node:net");
    const other = createServer().listen(own, "127.0.0.1");
    await stage.reconfigure({ metrics: { listen: `127.0.0.1:${own}` }, agents: {} });
    await expect(stage.lazarus.serve()).rejects.toThrow(/metrics\.listen in lazarus\.yaml/);
    other.close();
    expect(taken).toContain("127.0.0.1");
  });
});
