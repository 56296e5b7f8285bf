import { endProcesses } from "../../backends/os/kill.ts";
import { isLive, type ProcessStat, readProc } from "../../backends/os/proc.ts";
import { listProcesses } from "../../backends/os/scan.ts";

/** The variable by which what a git of ours started is found. */
export const MARK = "LAZARUS_GIT";

/**
 * Ends every process that was started with that mark: git does not end its own helpers where it is ended
 * itself.
 */
export async function endMarked(mark: string): Promise<void> {
  const find = async () => {
    const found: ProcessStat[] = [];
    await listProcesses((one) => {
      const environ = isLive(one) ? (readProc(one.pid, "environ", "utf8") ?? "") : "";
      const isOurs = environ.split("\0").includes(`${MARK}=${mark}`);
      if (isOurs) found.push(one);
      return isOurs;
    });
    return found;
  };
  await endProcesses({ find, isAsked: () => false }, 0);
}
