import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { until } from "../test/fakes/until.ts";

const BIN = resolve(import.meta.dirname, "../bin/lazarus.js");
const READY_MS = 60_000;
const END_MS = 12_000;

/** A `lazarus serve` of its own process, its log in a file. */
export interface ServeProcess {
  readonly url: string;
  /** The line it printed when it was ready. */
  readonly readyLine: string;
  readonly pid: number;
  /** SIGTERM, and SIGKILL where that does not end it. */
  end(): Promise<void>;
}

/** Starts it and waits until `/readyz` says so; throws with the end of its log where it does not come up. */
export async function startServe(configPath: string, logPath: string): Promise<ServeProcess> {
  const child = spawn(process.execPath, [BIN, "--config", configPath, "serve"], {
    stdio: ["ignore", "pipe", "pipe"],
    // In a process group of its own: Ctrl-C in the terminal reaches it by us, once.
    detached: true,
  });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.off("exit", kill));
  child.stderr.pipe(createWriteStream(logPath));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  try {
    await until("serve listens", () => said.includes("\n") || child.exitCode !== null, READY_MS);
    const url = /http:\/\/\S+?(?=,)/.exec(said)?.[0];
    if (url === undefined) throw new Error("serve did not start");
    await until("serve is ready", async () => (await fetch(`${url}/readyz`)).ok, READY_MS);
    return { url, readyLine: said.trim(), pid: child.pid ?? 0, end: () => end(child) };
  } catch (cause) {
    await end(child);
    throw new Error(`starting lazarus serve: ${readFileSync(logPath, "utf8").slice(-2_000)}`, { cause });
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const hard = setTimeout(() => child.kill("SIGKILL"), END_MS);
  await gone;
  clearTimeout(hard);
}

/** Agents outlive their server on purpose: ends the runs below a missions root that are still in progress. */
export function killRuns(missionsDir: string): void {
  let cells: string[] = [];
  try {
    cells = readdirSync(missionsDir);
  } catch {
    return;
  }
  for (const cell of cells) {
    try {
      const state = (file: string) =>
        JSON.parse(readFileSync(join(missionsDir, cell, "state", file), "utf8"));
      const { pid, run } = state("run.json") as { pid: number; run: number };
      if (!hasEnded(() => state("exit.json") as { run: number }, run)) process.kill(-pid, "SIGKILL");
    } catch {
      // No run, or it is gone already.
    }
  }
}

function hasEnded(read: () => { run: number }, run: number): boolean {
  try {
    return read().run === run;
  } catch {
    return false;
  }
}

/** What a command line of Lazarus prints. */
export async function lazarus(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BIN, ...words]);
  return stdout;
}
