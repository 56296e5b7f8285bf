import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const program = (source: string) => ({
  source: join(ROOT, source),
  /** Beside `dist`, as deep as the program itself: both find package.json. */
  built: join(ROOT, "dist-test/programs", source.replace(/^.*\//, "").replace(/ts$/, "js")),
});

/**
 * Programs that tests start again and again, as one file each: made by global-setup.ts, started by plain
 * Node.
 */
export const PROGRAMS = {
  deadlyWorker: program("test/chaos/deadly-worker.ts"),
  dyingApp: program("test/chaos/dying-app.ts"),
  noDescriptors: program("test/fakes/no-descriptors.ts"),
  queueProcess: program("test/fakes/queue-process.ts"),
} as const;
