import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { StringDecoder } from "node:string_decoder";
import * as z from "zod";
import { createFinder } from "../secret-finder.ts";
import { LogScan } from "./git/scan-text.ts";

/**
 * A program of its own, with a heap of its own: it has git print what a cell made, and looks through that for
 * secrets. What it is to do comes as JSON on standard input, and what it found goes to standard output.
 */
export const scanRequest = z.object({
  git: z.object({
    command: z.string(),
    args: z.array(z.string()),
    cwd: z.string(),
    env: z.record(z.string(), z.string()),
  }),
  secrets: z.array(z.object({ name: z.string().nullable(), value: z.string() })),
  mark: z.string(),
  mostBytes: z.number(),
});
export type ScanRequest = z.infer<typeof scanRequest>;

async function main(): Promise<void> {
  const request = scanRequest.parse(JSON.parse(await text(process.stdin)));
  const { command, args, ...how } = request.git;
  const child = spawn(command, args, { ...how, stdio: ["ignore", "pipe", "ignore"] });
  const code = new Promise<number | null>((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", resolve);
  });
  const finder = createFinder();
  for (const { name, value } of request.secrets) finder.add(value, name);
  const scan = new LogScan(request.mark, finder);
  const decoder = new StringDecoder("utf8");
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > request.mostBytes) {
      child.kill("SIGKILL");
      break;
    }
    scan.push(decoder.write(chunk));
  }
  scan.push(decoder.end());
  const isWhole = (await code) === 0 && bytes <= request.mostBytes;
  process.stdout.write(JSON.stringify({ isWhole, found: scan.end() }));
}

await main();
