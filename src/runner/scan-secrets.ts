import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { StringDecoder } from "node:string_decoder";
import * as z from "zod";
import { createFinder } from "../secret-finder.ts";
import { LogScan } from "./git/scan-text.ts";

/**
 * A program of its own, with a heap of its own: it has git print what a cell made, and looks through that for
 * secrets. What it is to do comes as JSON on standard input, and what it found goes to standard output.
 */
const program = z.object({
  command: z.string(),
  args: z.array(z.string()),
  cwd: z.string(),
  env: z.record(z.string(), z.string()),
});
export const scanRequest = z.object({
  gits: z.array(z.array(program)),
  secrets: z.array(z.object({ name: z.string().nullable(), value: z.string() })),
  mark: z.string(),
  mostBytes: z.number(),
});
export type ScanRequest = z.infer<typeof scanRequest>;

async function main(): Promise<void> {
  const request = scanRequest.parse(JSON.parse(await text(process.stdin)));
  const finder = createFinder();
  for (const { name, value } of request.secrets) finder.add(value, name);
  const scan = new LogScan(request.mark, finder);
  let isWhole = true;
  let room = request.mostBytes;
  for (const programs of request.gits) {
    const bytes = await look(programs, scan, room);
    if (bytes === null) isWhole = false;
    room -= bytes ?? 0;
  }
  process.stdout.write(JSON.stringify({ isWhole, found: scan.end() }));
}

/** How many bytes the last of these programs printed; null: not all of it was seen. */
async function look(
  programs: readonly z.infer<typeof program>[],
  scan: LogScan,
  mostBytes: number,
): Promise<number | null> {
  const children = startAll(programs);
  const ends = children.map(endOf);
  const decoder = new StringDecoder("utf8");
  let bytes = 0;
  for await (const chunk of (children.at(-1)?.stdout ?? []) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      for (const child of children) child.kill("SIGKILL");
      break;
    }
    scan.push(decoder.write(chunk));
  }
  scan.push(decoder.end());
  const codes = await Promise.all(ends);
  return codes.every((code) => code === 0) && bytes <= mostBytes ? bytes : null;
}

/** Each reads what the one before it prints. */
function startAll(programs: readonly z.infer<typeof program>[]): ChildProcess[] {
  const children: ChildProcess[] = [];
  for (const { command, args, ...how } of programs) {
    const before = children.at(-1)?.stdout ?? null;
    const child = spawn(command, args, {
      ...how,
      stdio: [before === null ? "ignore" : "pipe", "pipe", "ignore"],
    });
    // One that has ended does not read on: its end says so.
    child.stdin?.on("error", () => {});
    if (before !== null && child.stdin !== null) before.pipe(child.stdin);
    children.push(child);
  }
  return children;
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", resolve);
  });
}

await main();
