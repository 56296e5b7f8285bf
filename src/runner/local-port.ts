import type { RunnerPort } from "../protocol/runner-port.ts";

/**
 * A runner in this very process, behind the same border as one elsewhere: what crosses is copied, so that
 * neither side can hand the other a function, or change what it has given away.
 */
export function localPort(runner: RunnerPort): RunnerPort {
  return {
    name: runner.name,
    do: async (job, signal) => structuredClone(await runner.do(structuredClone(job), signal)),
    adopt: (watched) => runner.adopt(structuredClone(watched)),
    sweep: (knownIds) => runner.sweep([...knownIds]),
    inventory: async (how) => structuredClone(await runner.inventory(how)),
    readLog: (cellId, log, how) => runner.readLog(cellId, log, how),
    hear: (cellId, words) => runner.hear(cellId, structuredClone(words)),
    close: () => runner.close(),
  };
}
