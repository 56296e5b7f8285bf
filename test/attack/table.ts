import type { Outcome, Verdict } from "./field.ts";

/** What fails a run: an attack that succeeds where it must not. */
export function isDefeat(outcome: Outcome): boolean {
  return outcome.verdict === "SUCCEEDED";
}

/** The table that people read: attack, backend, what it tried, what it got, verdict. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((one) => [one.id, one.on, one.tries, one.got ?? "nothing", one.verdict]);
  const all = [["attack", "backend", "what it tried", "what it got", "verdict"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

/** How many attacks there were, and how they ended. */
export function summaryOf(outcomes: readonly Outcome[]): string {
  const count = (verdict: Verdict) => outcomes.filter((one) => one.verdict === verdict).length;
  const attacks = new Set(outcomes.map((one) => one.id)).size;
  const unproven = count("unproven");
  return [
    `${attacks} attacks, tried ${outcomes.length} times`,
    `${count("stopped")} stopped`,
    `${count("not claimed")} not claimed by that degree`,
    ...(unproven === 0 ? [] : [`${unproven} that could not have worked on this machine`]),
    `${count("SUCCEEDED")} SUCCEEDED`,
  ].join(", ");
}
