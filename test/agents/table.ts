import { readFile, writeFile } from "node:fs/promises";
import { EXPECTED, type Seen, wrongIn } from "./plays.ts";

export const BEGIN = "<!-- try-agents: begin -->";
export const END = "<!-- try-agents: end -->";

const HEAD = ["agent", "backend", "what", "class", "commands", "commits", "resumed", "last words"];

/** One row a run; runs that went alike in several backends share one. */
function rowsOf(all: readonly Seen[]): string[][] {
  const rows = new Map<string, { seen: Seen; backends: string[] }>();
  for (const seen of all) {
    const { backend, logEnd: _, ...rest } = seen;
    const key = JSON.stringify(rest);
    const row = rows.get(key) ?? { seen, backends: [] };
    row.backends.push(backend);
    rows.set(key, row);
  }
  return [...rows.values()].map(({ seen, backends }) => [
    `${seen.agent} ${seen.version}`,
    backends.join(", "),
    EXPECTED[seen.play].title,
    seen.exit,
    EXPECTED[seen.play].commands === null ? "" : String(seen.commands),
    String(seen.commits),
    EXPECTED[seen.play].isResumed ? (seen.isResumed ? "yes" : "no") : "",
    seen.words,
  ]);
}

/** For a terminal; what is wrong stands below. */
export function tableOf(all: readonly Seen[]): string {
  const rows = [HEAD, ...rowsOf(all)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const wrong = all.flatMap((seen) =>
    wrongIn(seen).map(
      (what) => `WRONG: ${seen.agent} in ${seen.backend}, ${EXPECTED[seen.play].title}: ${what}`,
    ),
  );
  return [...lines, ...wrong].join("\n");
}

/** For docs/agents.md, between its markers. */
export function blockOf(
  all: readonly Seen[],
  { date, missing }: { date: string; missing: readonly string[] },
): string {
  const row = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    BEGIN,
    `The last run, on ${date}, of real programs against a pretended model. \`npm run try-agents -- --docs\` makes it anew.`,
    "",
    row(HEAD),
    row(HEAD.map(() => "---")),
    ...rowsOf(all).map(row),
    ...(missing.length === 0 ? [] : ["", ...missing.map((one) => `- ${one}`)]),
    END,
  ].join("\n");
}

/** Puts the block where the file has its markers, or at its end. */
export async function writeBlock(path: string, block: string): Promise<void> {
  const text = await readFile(path, "utf8").catch(() => "# Agents\n");
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  const whole =
    from < 0 || to < from
      ? `${text.trimEnd()}\n\n## Tried with\n\n${block}\n`
      : text.slice(0, from) + block + text.slice(to + END.length);
  await writeFile(path, whole);
}
