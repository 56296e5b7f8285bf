import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createDirectoryStore } from "../../src/seals/directory-store.ts";
import {
  breaking,
  bytes,
  CELL,
  FILES,
  keep,
  manifestOf,
  sealStoreContract,
} from "../contracts/seal-store.contract.ts";

const made = () => mkdtempSync(join(tmpdir(), "lazarus-seals-"));

sealStoreContract("a directory", async () => {
  const dir = made();
  return {
    store: (more) => createDirectoryStore({ dir, mostBytes: 1_000, freeBytes: 0, ...more }),
    overwrite: (seal, name, text) => writeFile(join(dir, seal, name), text),
    drop: (seal, name) => rm(join(dir, seal, name)),
    remove: () => rm(dir, { recursive: true, force: true }),
  };
});

let dir: string;
beforeEach(() => {
  dir = made();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const store = (more: { freeBytes?: number } = {}) =>
  createDirectoryStore({ dir, mostBytes: 1_000, freeBytes: 0, ...more });

it("has its name only when it is whole", async () => {
  const { digest } = await keep(store());
  expect(readdirSync(dir)).toEqual([`${CELL}.${digest}`]);
  expect(await readFile(join(dir, `${CELL}.${digest}`, "branch.bundle"), "utf8")).toBe("refs");
});

it("nothing stays of a file that breaks off, nor of one whose writer was killed", async () => {
  await store().offer(CELL, manifestOf(FILES));
  const aside = join(dir, `.new-${CELL}`);
  await expect(store().take(CELL, "cell.tar.gz", breaking())).rejects.toThrow(/the connection is gone/);
  expect(readdirSync(aside)).toEqual(["manifest.json"]);
  await store().take(CELL, "cell.tar.gz", bytes("all of it"));
  writeFileSync(join(aside, ".1.part"), "all");
  const { digest } = await keep(store());
  expect(readdirSync(join(dir, `${CELL}.${digest}`)).sort()).toEqual(
    [...Object.keys(FILES), "manifest.json"].sort(),
  );
});

it("leaves what must stay free", async () => {
  const { bavail, bsize } = statfsSync(dir);
  const full = store({ freeBytes: bavail * bsize * 2 });
  const why = {
    code: "disk-full",
    retryable: true,
    message: expect.stringMatching(/no room for a? ?seals? .* \(seals in lazarus\.yaml\).* \(limits\.free\)/),
  };
  await expect(full.offer(CELL, manifestOf(FILES))).rejects.toMatchObject(why);
  await expect(full.probe()).rejects.toMatchObject(why);
});

it("that cannot be written is named", async () => {
  writeFileSync(join(dir, "file"), "");
  const at = createDirectoryStore({ dir: join(dir, "file"), mostBytes: 1_000, freeBytes: 0 });
  await expect(at.probe()).rejects.toThrow(
    /^trying to keep something in .*file \(seals in lazarus\.yaml\): /,
  );
});
