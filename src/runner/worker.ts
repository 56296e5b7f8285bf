import { explain, LazarusError, systemCode } from "../errors.ts";

/**
 * A program of its own, with a heap of its own: it does one piece of work on what agents made. What to do
 * comes as one line of JSON on standard input, what came of it goes to standard output. Where that input
 * ends, whoever started it is gone, and so is it.
 */
const TASKS: Readonly<Record<string, () => Promise<(request: never) => unknown>>> = {
  remove: async () => (await import("./disk/empty-tree.ts")).removeHere,
  pack: async () => (await import("./seal/pack-parts.ts")).packParts,
  restore: async () => (await import("./seal/restore.ts")).restoreHere,
};

async function main(task: string): Promise<void> {
  const request = await readRequest();
  const work = await TASKS[task]?.();
  if (work === undefined) throw new Error(`there is no task ${task}`);
  const answer = await Promise.resolve()
    .then(() => work(request as never))
    .then(
      (done) => ({ done: done ?? null }),
      (error: unknown) => ({ fault: faultOf(error) }),
    );
  process.stdout.write(JSON.stringify(answer), () => process.exit(0));
}

function readRequest(): Promise<unknown> {
  return new Promise((resolve) => {
    let text = "";
    process.stdin.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      if (text.endsWith("\n")) resolve(JSON.parse(text));
    });
    process.stdin.once("close", () => process.exit(1));
  });
}

function faultOf(error: unknown) {
  const known = error instanceof LazarusError ? error : null;
  const { code, retryable } = known ?? { code: "internal", retryable: true };
  const isFileTooLarge = systemCode(known?.cause ?? error) === "EFBIG";
  return { code, retryable, message: known?.message ?? explain(error), isFileTooLarge };
}

await main(process.argv[2] ?? "");
