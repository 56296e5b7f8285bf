import type { JobPayload } from "../../protocol/jobs.ts";
import type { Cell } from "../cell.ts";
import { NOTHING_IN_THE_WAY } from "../reason.ts";
import { endStore, putStore } from "../steps/store-seal.ts";
import type { ReportDeps } from "./deps.ts";

/** A closing cell lies in its archive, whole. */
export function sealed(deps: ReportDeps) {
  const { announce, clock, registry, steps } = deps;
  return (report: JobPayload<"sealed">): void => {
    const cell = registry.mustCell(report.cellId);
    if (cell.state !== "closing" || cell.closing?.thenDestroy) return;
    const by = cell.closing?.by ?? "lazarus";
    const outcome = cell.closing?.outcome ?? (cell.closing?.discard ? "discarded" : cell.outcome);
    registry.update(cell.id, {
      sealedAt: clock.now(),
      outcome,
      ...{ closing: null, stored: null },
      ...NOTHING_IN_THE_WAY,
    });
    registry.move(cell.id, {
      from: "closing",
      to: "archived",
      who: by,
      why: sealedWords(cell),
    });
    steps.keep(cell.id);
    steps.putPrune(cell.id);
    endStore(deps, cell.id, "it was sealed anew");
    putStore(deps, registry.mustCell(cell.id));
    steps.unpublish(registry.mustCell(cell.id), "sealed");
    steps.card(cell.id);
    announce({
      kind: "closed",
      cell: registry.mustCell(cell.id),
      by,
      person: cell.closing?.person ?? null,
    });
  };
}

function sealedWords({ closing, publishedTip, harvest }: Cell): string {
  if (closing?.outcome === "merged") return "merged and sealed";
  if (closing?.outcome === "rejected") return "sealed, not merged";
  const isLate = harvest !== null && harvest.tip !== null && harvest.tip !== publishedTip;
  if (isLate && publishedTip !== null) return "sealed; what was made last is not published";
  return closing?.discard || publishedTip === null ? "sealed, not published" : "published and sealed";
}
