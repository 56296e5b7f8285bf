import { EXIT_CLASSES, EXITS, type ExitClass } from "../src/cells/exit.ts";
import { followUpOf } from "../src/cells/steps/decide.ts";
import { VERBS } from "../src/commands/index.ts";
import { NOT_YET } from "../src/config/config.ts";
import { CONFIG_KEYS } from "../src/config/schema.ts";
import { FAMILIES, type Family } from "../src/metrics/families.ts";
import { formatDuration } from "../src/units.ts";

/** What of the docs is made from the code: file -> blocks by name. */
const TABLES: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  "docs/reference.md": { commands, configuration },
  "docs/runs.md": { exits },
  "docs/metrics.md": { metrics },
};

/** The files that hold such blocks, from the project's root. */
export const DOCS_WITH_TABLES: readonly string[] = Object.keys(TABLES);

/** Every family of metrics. */
function metrics(): string {
  const name = (one: Family) =>
    `\`lazarus_${one.name}\`${one.labels.length === 0 ? "" : ` {${one.labels.join(", ")}}`}`;
  return table(
    ["metric", "kind", "what it is"],
    FAMILIES.map((one) => [name(one), one.type, one.help]),
  );
}

/** Every verb, as help lists them. */
function commands(): string {
  const rows = VERBS.map((verb) => [`\`/lazarus ${verb.usage}\``, verb.summary, verb.who]);
  return table(["command", "what it does", "who may"], rows);
}

/**
 * What became of a run, what that is read from, and what follows: the waits are asked of what decides them.
 */
function exits(): string {
  const rows = EXIT_CLASSES.map((one) => [EXITS[one].words, EXITS[one].evidence, followsOf(one)]);
  return table(["what became of a run", "what that is read from", "what follows"], rows);
}

function followsOf(exit: ExitClass): string {
  const { follows } = EXITS[exit];
  switch (follows) {
    case "publish":
      return "the work so far is published";
    case "ask":
      return "the work so far is published, and a person is asked at once";
    case "backoff": {
      const atOnce = exit === "machine" ? "; at once after a restart of the machine" : "";
      return `tried again after ${waitsOf(exit, 3)}, at most ${formatDuration(MOST_WAIT)}${atOnce}; \`limits.revives\` times in a row, then the work so far is published and a person is asked`;
    }
    case "at-reset":
      return `tried again when it resets; where that is not told after ${waitsOf(exit, 3)}; not after the cell's TTL: then the work so far is published and a person is asked`;
    default:
      return follows satisfies never;
  }
}

const WAITS = (exit: ExitClass, earlier: number) => {
  const verdict = followUpOf(
    { class: exit, resetsAt: null, isReboot: false },
    { expiresAt: Number.POSITIVE_INFINITY },
    { now: 0, tries: { crashes: earlier, quotas: earlier }, revives: Number.POSITIVE_INFINITY, jitter: 0 },
  );
  return verdict.kind === "retry" ? verdict.at : Number.NaN;
};
const MOST_WAIT = WAITS("crashed", 99);

function waitsOf(exit: ExitClass, count: number): string {
  const waits = Array.from({ length: count }, (_, earlier) => formatDuration(WAITS(exit, earlier)));
  return `${waits.join(", ")} and so on`;
}

/** Every key of lazarus.yaml with its default. */
function configuration(): string {
  const rows = CONFIG_KEYS.map(({ path, default: fallback, meaning }) => [
    `\`${path}\``,
    fallback === null ? "" : isWords(fallback) ? fallback : `\`${fallback}\``,
    holds(path) || meaning.includes("not in this version")
      ? meaning
      : `${meaning} **(does not hold in this version)**`,
  ]);
  return table(["key", "default", "what it is"], rows);
}

/** What holds is said in words: `the preset's, else stdin`. */
function isWords(fallback: string): boolean {
  return fallback.includes(" ") && !/^[[{]/.test(fallback);
}

function holds(path: string): boolean {
  return !NOT_YET.some(([key]) => path === key || path.startsWith(`${key}.`));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---").join("|")}|`, ...rows.map(line)].join("\n");
}

const MARKED = (name: string) =>
  new RegExp(`(<!-- generated: ${name}[^\\n]*-->\\n)[\\s\\S]*?(<!-- end: ${name} -->)`);

/** A file of the docs with its blocks as the code has them; throws where one has no place. */
export function fillTables(file: string, text: string): string {
  return Object.entries(TABLES[file] ?? {}).reduce((filled, [name, make]) => {
    if (!MARKED(name).test(filled)) throw new Error(`${file} has no place marked "generated: ${name}"`);
    return filled.replace(MARKED(name), (_, before: string, after: string) => `${before}${make()}\n${after}`);
  }, text);
}
