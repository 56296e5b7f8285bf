import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createForge } from "../../src/gitea/client.ts";

const APP = { owner: "acme", name: "app" };
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Asked {
  readonly page: number;
  readonly limit: number;
  readonly url: URL;
}
type Said = { readonly status?: number; readonly body: string; readonly headers?: Record<string, string> };

/** A forge that answers each question by `say`; its clock stands at noon. */
async function forge(say: (asked: Asked) => Said) {
  const asked: Asked[] = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://x");
    const one = {
      url,
      page: Number(url.searchParams.get("page")),
      limit: Number(url.searchParams.get("limit")),
    };
    asked.push(one);
    const said = say(one);
    response.writeHead(said.status ?? 200, {
      "content-type": "application/json",
      date: "Mon, 05 Jan 2026 12:00:00 GMT",
      ...said.headers,
    });
    response.end(said.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, forge: createForge({ url, token: "t", redact: (text) => text, clock: systemClock }) };
}

const thread = (number: number, more: object = {}) => ({
  number,
  updated_at: "2026-01-05T11:00:00+02:00",
  repository: { id: 7, full_name: "acme/app" },
  ...more,
});
/** Pages of `all` as a server that caps at `cap` cuts them. */
const paged =
  (all: readonly object[], cap = 50) =>
  ({ page, limit }: Asked): Said => {
    const size = Math.min(limit, cap);
    return {
      body: JSON.stringify(all.slice((page - 1) * size, page * size)),
      headers: { "x-total-count": String(all.length) },
    };
  };
const many = (count: number) => Array.from({ length: count }, (_, index) => thread(count - index));

describe("what moved", () => {
  it("is asked with one request where it is few, since the whole second, by the forge's clock", async () => {
    const { forge: it, asked } = await forge(paged(many(3)));
    const since = Date.UTC(2026, 0, 5, 8, 0, 0, 999);
    const moved = await it.moved({ kind: "owner", owner: "acme" }, since);
    expect(moved.at).toBe(Date.UTC(2026, 0, 5, 12));
    expect(moved.threads[0]).toEqual({
      repository: { id: 7, fullName: "acme/app" },
      number: 3,
      updatedAt: Date.UTC(2026, 0, 5, 9),
    });
    expect(asked.map((one) => one.url.pathname + one.url.search)).toEqual([
      "/api/v1/repos/issues/search?state=all&since=2026-01-05T08%3A00%3A00.000Z&page=1&limit=50&owner=acme",
    ]);
    await it.moved({ kind: "repository", name: APP }, since);
    await it.moved({ kind: "everything" }, since);
    expect(asked.slice(1).map((one) => [one.url.pathname, one.url.searchParams.has("owner")])).toEqual([
      ["/api/v1/repos/acme/app/issues", false],
      ["/api/v1/repos/issues/search", false],
    ]);
  });

  it("is read to its end where the server caps pages lower than asked", async () => {
    const { forge: it, asked } = await forge(paged(many(45), 20));
    expect((await it.moved({ kind: "everything" }, 0)).threads).toHaveLength(45);
    // Two passes of three pages: what moves between pages is found by the second one.
    expect(asked).toHaveLength(6);
  });

  it("is read in smaller pages where a page is too large, and without the one that cannot be read", async () => {
    const all = many(60).map((one, index) => (index === 33 ? { ...one, updated_at: "never" } : one));
    const { forge: it } = await forge(paged(all));
    const { threads } = await it.moved({ kind: "everything" }, 0);
    expect(threads).toHaveLength(59);
  });

  it("is an error where nothing of it can be understood, or the forge refuses", async () => {
    const strange = await forge(() => ({ body: '[{"a":1}]', headers: { "x-total-count": "1" } }));
    await expect(strange.forge.moved({ kind: "everything" }, 0)).rejects.toMatchObject({
      code: "forge-answer",
    });
    expect(strange.asked.length).toBeLessThan(20);
    const refusing = await forge(() => ({ status: 403, body: '{"message":"no"}' }));
    await expect(refusing.forge.moved({ kind: "repository", name: APP }, 0)).rejects.toMatchObject({
      code: "forge-refused",
      message: "asking what moved in acme/app: the forge answered 403: no",
    });
    const renamed = await forge(() => ({ status: 307, body: "", headers: { location: "/api/v1/x" } }));
    await expect(renamed.forge.moved({ kind: "repository", name: APP }, 0)).rejects.toThrow("is it renamed?");
  });
});

describe("doings", () => {
  it("are closings, reopenings and merges alone, oldest first, whoever is gone since", async () => {
    const entry = (id: number, type: string, user: object | null = { id: 3, login: "dev" }) => ({
      id,
      type,
      user,
      created_at: "2026-01-05T09:00:00Z",
    });
    const list = [
      entry(9, "merge_pull"),
      null,
      entry(4, "close", null),
      entry(6, "comment"),
      entry(7, "reopen"),
    ];
    const { forge: it, asked } = await forge(() => ({ body: JSON.stringify(list) }));
    const doings = await it.doings(APP, 5, Date.UTC(2026, 0, 5, 8, 0, 0, 5));
    expect(doings.map((one) => [one.id, one.kind, one.by.login])).toEqual([
      [4, "closed", "Ghost"],
      [7, "reopened", "dev"],
      [9, "merged", "dev"],
    ]);
    expect(asked[0]?.url.searchParams.get("since")).toBe("2026-01-05T08:00:00.000Z");
    const none = await forge(() => ({ body: "null" }));
    expect(await none.forge.doings(APP, 5, 0)).toEqual([]);
  });
});
