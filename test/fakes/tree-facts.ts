import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Everything that can be told of a tree from outside, a line for each thing in it: path, type, permission
 * bits, owner, size, mtime to the microsecond, where a link leads, a hash of the content, how many names it
 * has. Names are bytes, shown as Latin-1.
 */
export function treeFacts(dir: string): string[] {
  const found: string[] = [];
  const look = (path: Buffer, name: string) => {
    const stat = lstatSync(path, { bigint: true });
    const mode = (stat.mode & 0o7777n).toString(8);
    const mtime = stat.mtimeNs / 1000n;
    const facts = [JSON.stringify(name), mode, `${stat.uid}:${stat.gid}`, mtime];
    if (stat.isDirectory()) {
      found.push([...facts, "directory"].join(" "));
      for (const each of readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare))
        look(Buffer.concat([path, Buffer.from("/"), each]), `${name}/${each.toString("latin1")}`);
    } else if (stat.isSymbolicLink())
      found.push([...facts, "link", JSON.stringify(readlinkSync(path, "latin1"))].join(" "));
    else if (stat.isFile())
      found.push([...facts, "file", stat.size, stat.nlink, sha256(readFileSync(path))].join(" "));
    else found.push([...facts, "other"].join(" "));
  };
  look(Buffer.from(dir), "");
  return found;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
