import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const BIN = resolve(import.meta.dirname, "../../bin/lazarus.js");

/** A place for operators' directories, which the users of cells pass through. Whoever made it removes it. */
export async function makeHome(name: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), `lazarus ${name}-`));
  await chmod(home, 0o711);
  return home;
}

/** How a command line ended, and what it said. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `lazarus` in a directory of an operator's own, with nothing else in its environment. */
export async function runIn(dir: string, words: readonly string[], path = "/usr/bin:/bin"): Promise<Ran> {
  const env = { PATH: path, HOME: dir, LAZARUS_CONFIG: join(dir, "lazarus.yaml") };
  const node = process.execPath;
  const child = spawn(node, [BIN, ...words], { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}
