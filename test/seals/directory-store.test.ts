import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDirectoryStore } from "../../src/seals/directory-store.ts";

const CELL = "4f1c0b7e-0000-4000-8000-000000000001";
const OTHER = "4f1c0b7e-0000-4000-8000-000000000002";
const FILES = { "cell.tar.gz": "all of it", "branch.bundle": "refs", "entries.jsonl.gz": "a list" };

function facts(name: string, text: string) {
  return { name, bytes: text.length, sha256: createHash("sha256").update(text).digest("hex") };
}
function manifestOf(files: Readonly<Record<string, string>>, more: object = {}): string {
  const list = Object.entries(files).map(([name, text]) => facts(name, text));
  return `${JSON.stringify({ created_at: "2026-01-05T09:00:00Z", seal: "s", files: list, ...more })}\n`;
}
const bytes = (text: string) => Readable.from([Buffer.from(text)]);

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-seals-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const store = (more: { mostBytes?: number; freeBytes?: number } = {}) =>
  createDirectoryStore({ dir, mostBytes: 1_000, freeBytes: 0, ...more });
const finals = () => readdirSync(dir).filter((name) => !name.startsWith("."));

async function keep(files = FILES, cell = CELL) {
  const at = store();
  await at.offer(cell, manifestOf(files));
  for (const [name, text] of Object.entries(files)) await at.take(cell, name, bytes(text));
  return (await at.offer(cell, manifestOf(files))).kept;
}

describe("a seal that is handed over", () => {
  it("has its name only when it is whole", async () => {
    const at = store();
    const manifest = manifestOf(FILES);
    expect((await at.offer(CELL, manifest)).missing).toEqual(Object.keys(FILES));
    await at.take(CELL, "cell.tar.gz", bytes(FILES["cell.tar.gz"]));
    expect(finals()).toEqual([]);
    expect(await store().offer(CELL, manifest)).toEqual({
      missing: ["branch.bundle", "entries.jsonl.gz"],
      kept: null,
    });
    await at.take(CELL, "branch.bundle", bytes("refs"));
    await at.take(CELL, "entries.jsonl.gz", bytes("a list"));
    const { kept, missing } = await at.offer(CELL, manifest);
    expect([missing, kept?.bytes, finals()]).toEqual([[], 19, [`${CELL}.${kept?.digest}`]]);
    expect(await at.offer(CELL, manifest)).toEqual({ missing: [], kept });
    const { body } = await at.open(CELL, kept?.digest ?? "", "cell.tar.gz");
    expect(Buffer.concat(await body.toArray()).toString()).toBe("all of it");
    expect(await at.manifest(CELL, kept?.digest ?? "")).toBe(manifest);
  });

  it("begins anew where another one is offered", async () => {
    const at = store();
    await at.offer(CELL, manifestOf(FILES));
    await at.take(CELL, "branch.bundle", bytes("refs"));
    const other = { ...FILES, "cell.tar.gz": "another" };
    expect((await at.offer(CELL, manifestOf(other))).missing).toEqual(Object.keys(FILES));
  });

  it.each([
    ["longer than it says", "all of it, and more", /larger than its manifest says/],
    ["shorter", "all of", /did not arrive whole/],
    ["another", "ALL OF IT", /is not what its manifest says/],
  ])("is not kept where a file is %s", async (_, sent, why) => {
    const at = store();
    await at.offer(CELL, manifestOf(FILES));
    await expect(at.take(CELL, "cell.tar.gz", bytes(sent))).rejects.toThrow(why);
    expect((await at.offer(CELL, manifestOf(FILES))).missing).toContain("cell.tar.gz");
    expect(readdirSync(join(dir, `.new-${CELL}`))).toEqual(["manifest.json"]);
  });

  it("is not begun where a file breaks off, and leaves nothing of it", async () => {
    const at = store();
    await at.offer(CELL, manifestOf(FILES));
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from("all");
        throw new Error("the connection is gone");
      })(),
    );
    await expect(at.take(CELL, "cell.tar.gz", broken)).rejects.toThrow(/the connection is gone/);
    expect(readdirSync(join(dir, `.new-${CELL}`))).toEqual(["manifest.json"]);
  });

  it.each([
    ["a path", "../../../etc/passwd"],
    ["a name that a seal does not have", "notes.txt"],
    ["the manifest itself", "manifest.json"],
  ])("takes no %s", async (_, name) => {
    const at = store();
    await expect(at.offer(CELL, manifestOf({ ...FILES, [name]: "x" }))).rejects.toThrow(/no manifest/);
    await at.offer(CELL, manifestOf(FILES));
    await expect(at.take(CELL, name, bytes("x"))).rejects.toThrow(/has no/);
  });

  it("names no file twice, and is of a cell", async () => {
    const twice = { files: [facts("cell.tar.gz", "a"), facts("cell.tar.gz", "b")] };
    await expect(store().offer(CELL, manifestOf({}, twice))).rejects.toThrow(/no manifest/);
    for (const id of ["..", "../x", `${CELL}/..`, "4f1c0b7e"])
      await expect(store().offer(id, manifestOf(FILES))).rejects.toThrow(/no id of a cell/);
  });

  it("is not larger than may be, and leaves what must stay free", async () => {
    await expect(store({ mostBytes: 18 }).offer(CELL, manifestOf(FILES))).rejects.toMatchObject({
      code: "over-limit",
    });
    const { bavail, bsize } = statfsSync(dir);
    const full = store({ freeBytes: bavail * bsize * 2 });
    await expect(full.offer(CELL, manifestOf(FILES))).rejects.toMatchObject({
      code: "disk-full",
      retryable: true,
      message: expect.stringMatching(/no room for a seal .* \(seals in lazarus\.yaml\).* \(limits\.free\)/),
    });
  });
});

describe("a seal that is kept", () => {
  it("goes, and no other one", async () => {
    const [first, mine, others] = [
      await keep({ ...FILES, "branch.bundle": "old" }),
      await keep(),
      await keep(FILES, OTHER),
    ];
    expect(first?.digest).not.toBe(mine?.digest);
    await store().remove(CELL, mine?.digest ?? "");
    expect(finals().sort()).toEqual([`${CELL}.${mine?.digest}`, `${OTHER}.${others?.digest}`]);
    await store().remove(CELL, null);
    expect([finals(), await store().cells()]).toEqual([[`${OTHER}.${others?.digest}`], [OTHER]]);
  });

  it("that somebody took away is named with what to do", async () => {
    const kept = await keep();
    rmSync(join(dir, `${CELL}.${kept?.digest}`), { recursive: true });
    await expect(store().manifest(CELL, kept?.digest ?? "")).rejects.toThrow(/put it back there/);
    await expect(store().open(CELL, kept?.digest ?? "", "cell.tar.gz")).rejects.toThrow(/put it back there/);
    await expect(store().open(CELL, "../x", "cell.tar.gz")).rejects.toThrow(/no digest/);
  });

  it("gives nothing but what its manifest names", async () => {
    const kept = await keep();
    writeFileSync(join(dir, `${CELL}.${kept?.digest}`, "secret"), "x");
    await expect(store().open(CELL, kept?.digest ?? "", "secret")).rejects.toThrow(/is not in/);
    expect(readFileSync(join(dir, `${CELL}.${kept?.digest}`, "branch.bundle"), "utf8")).toBe("refs");
  });
});
