import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Kept, SealStore } from "../../src/seals/seal-store.ts";

export const CELL = "4f1c0b7e-0000-4000-8000-000000000001";
export const OTHER = "4f1c0b7e-0000-4000-8000-000000000002";
export const FILES = { "cell.tar.gz": "all of it", "branch.bundle": "refs", "entries.jsonl.gz": "a list" };

/** One place to keep seals in, and somebody who can reach into it. */
export interface PlaceRig {
  /** Another process' view of the same place each time. */
  store(more?: { readonly mostBytes?: number }): SealStore;
  /** Writes over a file of a seal, or beside it. */
  overwrite(seal: string, name: string, text: string): Promise<void>;
  drop(seal: string, name: string): Promise<void>;
  remove(): Promise<void>;
}

function facts(name: string, text: string) {
  return { name, bytes: text.length, sha256: createHash("sha256").update(text).digest("hex") };
}
export function manifestOf(files: Readonly<Record<string, string>>, more: object = {}): string {
  const list = Object.entries(files).map(([name, text]) => facts(name, text));
  return `${JSON.stringify({ created_at: "2026-01-05T09:00:00Z", seal: "s", files: list, ...more })}\n`;
}
export const bytes = (text: string) => Readable.from([Buffer.from(text)]);

/** A connection that breaks after a few bytes. */
export const breaking = () =>
  Readable.from(
    (async function* () {
      yield Buffer.from("all");
      throw new Error("the connection is gone");
    })(),
  );

export async function keep(
  at: SealStore,
  files: Readonly<Record<string, string>> = FILES,
  cell = CELL,
): Promise<Kept> {
  const { missing } = await at.offer(cell, manifestOf(files));
  for (const name of missing) await at.take(cell, name, bytes(files[name] ?? ""));
  const { kept } = await at.offer(cell, manifestOf(files));
  if (kept === null) throw new Error("it is not kept");
  return kept;
}

export async function textOf(at: SealStore, digest: string, name: string): Promise<string> {
  const { body } = await at.open(CELL, digest, name);
  return Buffer.concat(await body.toArray()).toString();
}

/** What `SealStore` promises, tried on one place. */
export function sealStoreContract(name: string, make: () => Promise<PlaceRig>): void {
  describe(`${name} keeps the contract of where seals are kept`, () => {
    let rig: PlaceRig;
    beforeEach(async () => {
      rig = await make();
    });
    afterEach(() => rig?.remove());

    describe("a seal that is handed over", () => {
      it("is there only when it is whole", async () => {
        const at = rig.store();
        const manifest = manifestOf(FILES);
        expect((await at.offer(CELL, manifest)).missing).toEqual(Object.keys(FILES));
        const digest = (await keep(at, FILES, OTHER)).digest;
        await at.take(CELL, "cell.tar.gz", bytes(FILES["cell.tar.gz"]));
        await expect(at.manifest(CELL, digest)).rejects.toThrow(/is not in/);
        // Another process goes on.
        expect(await rig.store().offer(CELL, manifest)).toEqual({
          missing: ["branch.bundle", "entries.jsonl.gz"],
          kept: null,
        });
        await at.take(CELL, "branch.bundle", bytes("refs"));
        await at.take(CELL, "entries.jsonl.gz", bytes("a list"));
        await expect(at.manifest(CELL, digest)).rejects.toThrow(/is not in/);
        const kept = { digest, bytes: 19 };
        expect(await at.offer(CELL, manifest)).toEqual({ missing: [], kept });
        expect(await rig.store().offer(CELL, manifest)).toEqual({ missing: [], kept });
        expect(await at.manifest(CELL, digest)).toBe(manifest);
        expect(await textOf(at, digest, "cell.tar.gz")).toBe("all of it");
      });

      it("begins anew where another one is offered, which takes its place", async () => {
        const at = rig.store();
        await at.offer(CELL, manifestOf(FILES));
        await at.take(CELL, "branch.bundle", bytes("refs"));
        const other = { ...FILES, "cell.tar.gz": "another" };
        expect((await at.offer(CELL, manifestOf(other))).missing).toEqual(Object.keys(FILES));
        const { digest } = await keep(at, other);
        await at.remove(CELL, digest);
        expect([...(await at.held())]).toEqual([[CELL, [digest]]]);
        expect(await textOf(at, digest, "cell.tar.gz")).toBe("another");
      });

      it.each([
        ["longer than it says", "all of it, and more", /larger than its manifest says/],
        ["shorter", "all of", /did not arrive whole/],
        ["another", "ALL OF IT", /is not what its manifest says/],
        ["empty", "", /did not arrive whole/],
      ])("is not kept where a file is %s", async (_, sent, why) => {
        const at = rig.store();
        await at.offer(CELL, manifestOf(FILES));
        await expect(at.take(CELL, "cell.tar.gz", bytes(sent))).rejects.toThrow(why);
        expect((await at.offer(CELL, manifestOf(FILES))).missing).toEqual(Object.keys(FILES));
      });

      it("is not begun where a file breaks off, and comes whole the next time", async () => {
        const at = rig.store();
        await at.offer(CELL, manifestOf(FILES));
        await expect(at.take(CELL, "cell.tar.gz", breaking())).rejects.toThrow(/the connection is gone/);
        expect((await at.offer(CELL, manifestOf(FILES))).missing).toEqual(Object.keys(FILES));
        expect((await keep(at)).bytes).toBe(19);
      });

      it("may hold a file without a byte", async () => {
        const { digest } = await keep(rig.store(), { ...FILES, "branch.bundle": "" });
        expect(await textOf(rig.store(), digest, "branch.bundle")).toBe("");
      });

      it.each([
        ["a path", "../../../etc/passwd"],
        ["a name that a seal does not have", "notes.txt"],
        ["the manifest itself", "manifest.json"],
      ])("takes no %s", async (_, file) => {
        const at = rig.store();
        await expect(at.offer(CELL, manifestOf({ ...FILES, [file]: "x" }))).rejects.toThrow(/no manifest/);
        await at.offer(CELL, manifestOf(FILES));
        await expect(at.take(CELL, file, bytes("x"))).rejects.toThrow(/has no/);
      });

      it("names no file twice, and is of a cell", async () => {
        const twice = { files: [facts("cell.tar.gz", "a"), facts("cell.tar.gz", "b")] };
        await expect(rig.store().offer(CELL, manifestOf({}, twice))).rejects.toThrow(/no manifest/);
        for (const id of ["..", "../x", `${CELL}/..`, "4f1c0b7e"])
          await expect(rig.store().offer(id, manifestOf(FILES))).rejects.toThrow(/no id of a cell/);
      });

      it("is not larger than may be", async () => {
        await expect(rig.store({ mostBytes: 18 }).offer(CELL, manifestOf(FILES))).rejects.toMatchObject({
          code: "over-limit",
        });
      });

      it("comes once at a time", async () => {
        const at = rig.store();
        await at.offer(CELL, manifestOf(FILES));
        const both = await Promise.allSettled([
          at.take(CELL, "cell.tar.gz", bytes("all of it")),
          at.take(CELL, "cell.tar.gz", bytes("all of it")),
        ]);
        expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
        expect(both[1]).toMatchObject({ reason: { retryable: true } });
      });
    });

    describe("a seal that is kept", () => {
      it("goes, and no other one", async () => {
        const first = await keep(rig.store(), { ...FILES, "branch.bundle": "old" });
        const mine = await keep(rig.store());
        const others = await keep(rig.store(), FILES, OTHER);
        expect(first.digest).not.toBe(mine.digest);
        await rig.store().remove(CELL, mine.digest);
        expect(new Map(await rig.store().held())).toEqual(
          new Map([
            [CELL, [mine.digest]],
            [OTHER, [others.digest]],
          ]),
        );
        await rig.store().remove(CELL, null);
        expect([...(await rig.store().held())]).toEqual([[OTHER, [others.digest]]]);
        await rig.store().remove(CELL, null);
      });

      it("stays where the next one is on its way, and so does that", async () => {
        const at = rig.store();
        const { digest } = await keep(at);
        const next = { ...FILES, "cell.tar.gz": "more of it" };
        await at.offer(CELL, manifestOf(next));
        await at.take(CELL, "cell.tar.gz", bytes("more of it"));
        await at.remove(CELL, digest);
        expect((await at.offer(CELL, manifestOf(next))).missing).toEqual([
          "branch.bundle",
          "entries.jsonl.gz",
        ]);
        expect(await textOf(at, digest, "branch.bundle")).toBe("refs");
        await at.remove(CELL, null);
        expect([...(await at.held())]).toEqual([]);
      });

      it("that somebody took away is named with what to do", async () => {
        const { digest } = await keep(rig.store());
        for (const name of ["cell.tar.gz", "manifest.json"]) {
          await rig.drop(`${CELL}.${digest}`, name);
          await expect(rig.store().open(CELL, digest, "cell.tar.gz")).rejects.toThrow(/put it back there/);
        }
        await expect(rig.store().manifest(CELL, digest)).rejects.toThrow(/put it back there/);
        await expect(rig.store().open(CELL, "../x", "cell.tar.gz")).rejects.toThrow(/no digest/);
      });

      it.each([
        ["truncated", "all of", /has 6 bytes instead of 9: put it back there from a copy/],
        ["longer", "all of it, and more", /has 19 bytes instead of 9: put it back/],
      ])("that is %s is named at once", async (_, text, why) => {
        const { digest } = await keep(rig.store());
        await rig.overwrite(`${CELL}.${digest}`, "cell.tar.gz", text);
        const reading = rig.store().open(CELL, digest, "cell.tar.gz");
        await expect(reading).rejects.toThrow(why);
        await expect(reading).rejects.toMatchObject({ code: "directory", retryable: false });
      });

      it("that is another of the same size is found when it is read, named at once then, and mended", async () => {
        const { digest } = await keep(rig.store());
        await rig.overwrite(`${CELL}.${digest}`, "cell.tar.gz", "ALL OF IT");
        const at = rig.store();
        const why = /cell\.tar\.gz is not what was sealed \(its SHA-256 differs\): put it back/;
        await expect(textOf(at, digest, "cell.tar.gz")).rejects.toThrow(why);
        // Nobody who counts the bytes takes it for whole, and why it broke off is known without waiting for more.
        const { body } = await rig.store().open(CELL, digest, "cell.tar.gz");
        const come: Buffer[] = [];
        await expect(
          (async () => {
            for await (const chunk of body) come.push(chunk as Buffer);
          })(),
        ).rejects.toThrow(why);
        expect(Buffer.concat(come).length).toBeLessThan(FILES["cell.tar.gz"].length);
        await expect(at.open(CELL, digest, "cell.tar.gz")).rejects.toThrow(why);
        expect(await textOf(at, digest, "branch.bundle")).toBe("refs");
        await rig.overwrite(`${CELL}.${digest}`, "cell.tar.gz", "all of it");
        expect(await textOf(at, digest, "cell.tar.gz")).toBe("all of it");
      });

      it("is not that of another cell", async () => {
        const { digest } = await keep(rig.store());
        await rig.overwrite(`${CELL}.${digest}`, "manifest.json", manifestOf({ "cell.tar.gz": "theirs" }));
        const why = /manifest\.json is that of another seal: put it back/;
        await expect(rig.store().manifest(CELL, digest)).rejects.toThrow(why);
        await expect(rig.store().open(CELL, digest, "cell.tar.gz")).rejects.toThrow(why);
      });

      it("gives nothing but what its manifest names", async () => {
        const { digest } = await keep(rig.store());
        await rig.overwrite(`${CELL}.${digest}`, "secret", "x");
        await expect(rig.store().open(CELL, digest, "secret")).rejects.toThrow(/is not in/);
        expect(await textOf(rig.store(), digest, "branch.bundle")).toBe("refs");
      });
    });

    it("says that it can be written, read and removed, and leaves nothing of that", async () => {
      expect(await rig.store().probe()).toEqual([]);
      expect([...(await rig.store().held())]).toEqual([]);
    });
  });
}
