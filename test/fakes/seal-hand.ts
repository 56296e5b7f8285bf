import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { describeMember } from "../../src/runner/seal/entries.ts";
import { readTar } from "../../src/runner/seal/tar/read.ts";

export interface ForgedMember {
  readonly path: string;
  /** Type flag of tar: `0` file, `1` hard link, `2` link, `5` directory. */
  readonly type: string;
  readonly link?: string;
  readonly mode?: number;
}

/**
 * How a seal is forged: whatever is given takes the place of what was sealed, and the hashes are made to fit.
 */
export interface Forgery {
  readonly members?: readonly ForgedMember[];
  readonly list?: (lines: string[]) => string[];
  readonly bytes?: (tar: Buffer) => Buffer;
  readonly gzip?: (bytes: Buffer) => Buffer;
}

/** The hand of somebody who can write into `archive/`, manifest and all. */
export function sealHand(dir: string) {
  const read = (name: string) => readFileSync(join(dir, name));
  const manifest = () => JSON.parse(read("manifest.json").toString("utf8")) as Record<string, unknown>;
  const facts = (name: string) => {
    const bytes = read(name);
    return { name, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  };
  const write = (value: unknown) => writeFileSync(join(dir, "manifest.json"), JSON.stringify(value));
  return {
    /** Writes the manifest as an earlier version did. */
    rewrite(names: readonly string[]): void {
      write({ created_at: manifest().created_at, files: names.map(facts) });
    },
    async forge(change: Forgery): Promise<void> {
      let tar: Buffer =
        change.members === undefined ? gunzipSync(read("cell.tar.gz")) : tarOf(change.members);
      let lines = gunzipSync(read("entries.jsonl.gz")).toString("utf8").split("\n").slice(0, -1);
      if (change.members !== undefined) {
        lines = [];
        for await (const member of readTar(Readable.from([tar]))) lines.push(await describeMember(member));
      }
      tar = change.bytes?.(tar) ?? tar;
      lines = change.list?.(lines) ?? lines;
      const packed = gzipSync(tar);
      writeFileSync(join(dir, "cell.tar.gz"), change.gzip?.(packed) ?? packed);
      writeFileSync(join(dir, "entries.jsonl.gz"), gzipSync(lines.map((line) => `${line}\n`).join("")));
      write({
        ...manifest(),
        entries: lines.length,
        files: ["cell.tar.gz", "entries.jsonl.gz", "branch.bundle"].map(facts),
      });
    },
    copy() {
      const kept = mkdtempSync(join(tmpdir(), "lazarus-seal-"));
      cpSync(dir, kept, { recursive: true });
      return {
        moveIntoPlace() {
          rmSync(dir, { recursive: true });
          cpSync(kept, dir, { recursive: true });
          rmSync(kept, { recursive: true });
        },
      };
    },
  };
}

function tarOf(members: readonly ForgedMember[]): Buffer {
  const blocks = members.map((member) => {
    const block = Buffer.alloc(512);
    block.write(member.path, 0, 100, "utf8");
    const octal = (value: number, at: number, length: number) =>
      block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
    octal(member.mode ?? (member.type === "5" ? 0o755 : 0o644), 100, 8);
    octal(0, 108, 8);
    octal(0, 116, 8);
    octal(0, 124, 12);
    octal(1_000_000_000, 136, 12);
    block.write("        ", 148, "latin1");
    block.write(member.type, 156, "latin1");
    block.write(member.link ?? "", 157, 100, "utf8");
    block.write("ustar\x0000", 257, "latin1");
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      148,
      7,
    );
    return block;
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
