import { VERBS } from "../src/commands/index.ts";
import { NOT_YET } from "../src/config.ts";
import { CONFIG_KEYS } from "../src/config-schema.ts";

/** The README's blocks that are made from the code, by name. */
export const BLOCKS: Readonly<Record<string, () => string>> = { commands, configuration };

/** Every verb that this version has, as help lists them, and the names of the others. */
function commands(): string {
  const built = VERBS.filter((verb) => verb.run !== undefined);
  const later = VERBS.filter((verb) => verb.run === undefined).map((verb) => `\`${verb.name}\``);
  const flags = VERBS.flatMap((verb) =>
    verb.run === undefined
      ? []
      : Object.entries(verb.flags).flatMap(([name, flag]) =>
          flag.isLater ? [`\`${verb.name} ${name}\``] : [],
        ),
  );
  const rows = built.map((verb) => [`\`/lazarus ${verb.usage}\``, verb.summary, verb.who]);
  const missing = [...later, ...flags].join(", ");
  return `${table(["command", "what it does", "who may"], rows)}

Understood, and refused with \`not in this version\`: ${missing}.`;
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

/** The README with its blocks as the code has them; throws where one has no place. */
export function fillReadme(readme: string): string {
  return Object.entries(BLOCKS).reduce((text, [name, make]) => {
    if (!MARKED(name).test(text)) throw new Error(`README.md has no place marked "generated: ${name}"`);
    return text.replace(MARKED(name), (_, before: string, after: string) => `${before}${make()}\n${after}`);
  }, readme);
}
