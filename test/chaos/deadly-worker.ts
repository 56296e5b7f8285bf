import { type Death, makeFilesDeadly } from "./deadly-fs.ts";

/** Read before a worker begins: at that one place it takes `serve` with it. */
makeFilesDeadly(JSON.parse(process.env.LAZARUS_DEATH ?? "null") as Death, () => {
  for (const pid of [process.ppid, process.pid]) process.kill(pid, "SIGKILL");
  for (;;);
});
