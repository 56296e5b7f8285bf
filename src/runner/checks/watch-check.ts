import { checkLogOwner, logNameOf } from "../../cells/names.ts";
import { reportOf } from "../../protocol/reports.ts";
import type { WatchedCheck } from "../../protocol/runner-port.ts";
import type { CommandAtWork } from "../commands/command-watch.ts";

/** A check as a command that is watched. */
export function checkAtWork({
  check,
  name,
  network: _,
  ...one
}: Omit<WatchedCheck, "handle"> & Pick<CommandAtWork, "handle">): CommandAtWork {
  return {
    ...one,
    key: `check ${check}`,
    noted: { what: "check ended", check, name },
    log: logNameOf(checkLogOwner(name), check),
    beat: "checking",
    reportOf: async (end) => reportOf("check-ended", { cellId: one.cell.id, check, end }),
  };
}
