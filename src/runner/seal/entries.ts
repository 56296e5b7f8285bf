import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { TarEntry } from "./tar/read.ts";

/** Permission bits that a seal keeps: nothing in a cell is to run as somebody else. */
export const KEPT_MODE = 0o1777;

/**
 * What the list of a seal says of one member, as one line of JSON: path, type, mode, size, mtime, where a
 * link leads, and SHA-256 of its bytes as they are stored in the archive (of a file without holes: of its
 * content). Names that are no text are given in base64. The same member always gives the same line.
 */
export function entryLine(member: TarEntry, sha256: string | null): string {
  const { type } = member;
  const isOther = type === "other";
  return JSON.stringify({
    ...nameOf("path", member.path),
    type: isOther ? "left-out" : type,
    mode: (member.mode & KEPT_MODE).toString(8).padStart(4, "0"),
    ...(type === "file" ? { size: member.size } : {}),
    mtime: timeOf(member.mtime),
    ...(type === "link" || type === "hard-link" ? nameOf("target", member.target) : {}),
    ...(member.sparse === null ? {} : { sparse: true }),
    ...(sha256 === null ? {} : { sha256 }),
  });
}

/** The line of a member whose bytes nobody else wants: they are read to their end. */
export async function describeMember(member: TarEntry): Promise<string> {
  if (member.type !== "file") return entryLine(member, null);
  const hash = createHash("sha256");
  for await (const part of member.bytes()) hash.update(part);
  return entryLine(member, hash.digest("hex"));
}

/** A path as people can read it, on one line. */
export function readable(path: Uint8Array): string {
  return JSON.stringify(Buffer.from(path).toString("utf8")).slice(1, -1).slice(0, 300);
}

/** The path that a line of the list begins with, for people. */
export function pathOfLine(line: string): string {
  return line
    .slice(0, 300)
    .replace(/^\{"path(?:_base64)?":"/, "")
    .replace(/","type":.*$/s, "");
}

function nameOf(key: "path" | "target", name: Buffer): Record<string, string> {
  return isUtf8(name) ? { [key]: name.toString("utf8") } : { [`${key}_base64`]: name.toString("base64") };
}

/** RFC 3339 with all the digits that the archive has. */
function timeOf(mtime: string): string {
  const [, seconds = "0", fraction = ""] = /^(-?\d{1,11})(?:\.(\d{1,9}))?/.exec(mtime) ?? [];
  const at = new Date(Number(seconds) * 1_000);
  if (Number.isNaN(at.getTime())) return mtime;
  return `${at.toISOString().slice(0, -5)}${fraction === "" ? "" : `.${fraction}`}Z`;
}
