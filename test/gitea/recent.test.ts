import { expect, it } from "vitest";
import type { Repository } from "../../src/gitea/port.ts";
import { createRecentRepositories, once } from "../../src/gitea/recent.ts";
import { createFakeClock } from "../fakes/clock.ts";

const APP = { owner: "acme", name: "app" };
const repository = (id: number, fullName = "acme/app") => ({ id, fullName }) as Repository;

it("holds what a repository is for 30 s, under the very name it was asked for", async () => {
  const clock = createFakeClock();
  const recent = createRecentRepositories(clock);
  recent.found(APP, repository(7, "Acme/App"));
  expect(recent.of({ owner: "ACME", name: "app" })?.id).toBe(7);
  await clock.advance(29_999);
  expect(recent.of(APP)?.id).toBe(7);
  await clock.advance(1);
  expect(recent.of(APP)).toBeNull();
  recent.found(APP, repository(7, "acme/renamed"));
  expect(recent.of(APP)).toBeNull();
});

it("believes nothing any more once somebody told otherwise, or it is gone", () => {
  const recent = createRecentRepositories(createFakeClock());
  const held = () => recent.of(APP)?.id ?? null;
  recent.found(APP, repository(7));
  recent.told(7, "acme/app");
  recent.told(8, "acme/web");
  expect(held()).toBe(7);
  recent.told(8, "Acme/App");
  expect(held()).toBeNull();
  recent.found(APP, repository(7));
  recent.told(7, "acme/renamed");
  expect(held()).toBeNull();
  recent.found(APP, repository(7));
  recent.found(APP, null);
  expect(held()).toBeNull();
  recent.found(APP, repository(7));
  recent.forget();
  expect(held()).toBeNull();
});

it("asks once, and again only after a failure", async () => {
  let asked = 0;
  const ask = once(async () => {
    asked++;
    if (asked === 1) throw new Error("away");
    return asked;
  });
  await expect(ask()).rejects.toThrow("away");
  expect(await Promise.all([ask(), ask()])).toEqual([2, 2]);
  expect(await ask()).toBe(2);
});
