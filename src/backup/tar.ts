import { spawn } from "node:child_process";
import { once } from "node:events";
import { started } from "../backends/os/started.ts";
import { findTool } from "../backends/os/tools.ts";
import { LazarusError, saysDiskFull } from "../errors.ts";

const MOST_SAID = 64 * 1024;

/** Runs the system's tar. `mayChange`: files that change while they are read are no failure. */
export async function tar(words: readonly string[], doing: string, mayChange = false): Promise<string> {
  const program = findTool("tar");
  if (program === null) throw new LazarusError("directory", `${doing}: tar is not installed`);
  const env = { PATH: "/usr/bin:/bin:/usr/local/bin", LC_ALL: "C" };
  const child = started(spawn(program, [...words], { stdio: ["ignore", "pipe", "pipe"], env }), doing);
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    if (err.length < MOST_SAID) err += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0 || (code === 1 && mayChange)) return out;
  if (saysDiskFull(err)) throw new LazarusError("disk-full", `${doing}: the disk is full`);
  const lines = err.trim().split("\n");
  throw new LazarusError("directory", `${doing}: ${lines[0] ?? `tar ended with exit ${code}`}`);
}
