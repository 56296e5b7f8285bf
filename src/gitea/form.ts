/** The first line of an issue that was filed with the form of a mission proposal. */
const MARKER = "<!-- lazarus:mission:1 -->";

/** The fields of the form in its order, by the headings that a forge makes of them. */
export const FORM_FIELDS = [
  "Objective",
  "Acceptance criteria",
  "Agents",
  "Target",
  "Base branch",
  "Time to live",
  "Checks",
  "Not to be touched",
] as const;
export type FormField = (typeof FORM_FIELDS)[number];

/** What keeps a field from being read. `fence`: the block that it is rendered in does not end. */
export type FormFault = "missing" | "double" | "misplaced" | "fence";

/** What a form says: of each field its text, empty where nothing was filled in, or why it cannot be read. */
export type Form = Readonly<Record<FormField, { readonly text: string; readonly fault: FormFault | null }>>;

/** A forge writes this where a field was left empty. */
const EMPTY = "_No response_";

/**
 * Reads an issue's text as the form that it was filed with; null where it is none: labels prove nothing, and
 * neither does a title. A forge checks nothing of a form, and puts no fence around what people typed: a
 * heading of the form inside a value looks like the heading itself, so it may stand there once, in its place.
 * Linear in the length of the text.
 */
export function readForm(body: string): Form | null {
  if (!body.startsWith(MARKER)) return null;
  const lines = linesOf(body);
  if (lines[0]?.trimEnd() !== MARKER) return null;
  const found = headingsOf(lines);
  const fields = FORM_FIELDS.map((field) => {
    const mine = found.filter((one) => one.field === field);
    const [only] = mine;
    if (only === undefined) return [field, { text: "", fault: "missing" }] as const;
    if (mine.length > 1) return [field, { text: "", fault: "double" }] as const;
    const place = found.indexOf(only);
    if (isMisplaced(found, place)) return [field, { text: "", fault: "misplaced" }] as const;
    return [field, readValue(lines.slice(only.line + 1, found[place + 1]?.line), field)] as const;
  });
  return Object.fromEntries(fields) as Form;
}

interface Heading {
  readonly field: FormField;
  readonly line: number;
}

function linesOf(text: string): string[] {
  return text.split(/\r\n|\r|\n/);
}

function headingsOf(lines: readonly string[]): Heading[] {
  return lines.flatMap((text, line) => {
    const name = /^### (.+?)[ \t]*$/.exec(text.length > 40 ? "" : text)?.[1];
    const field = FORM_FIELDS.find((one) => one === name);
    return field === undefined ? [] : [{ field, line }];
  });
}

/** It comes before one that stands above it in the form. */
function isMisplaced(found: readonly Heading[], place: number): boolean {
  const rank = ({ field }: Heading) => FORM_FIELDS.indexOf(field);
  const own = found[place];
  if (own === undefined) return true;
  return found.slice(0, place).some((one) => rank(one) > rank(own));
}

/** Objective and criteria are taken as they are; of the rest the one block is opened that it may stand in. */
function readValue(lines: readonly string[], field: FormField): { text: string; fault: FormFault | null } {
  const text = lines.join("\n").trim();
  if (text === EMPTY) return { text: "", fault: null };
  if (field === "Objective" || field === "Acceptance criteria") return { text, fault: null };
  const inner = linesOf(text);
  const fence = /^(`{3,}|~{3,})[^`]*$/.exec(inner[0] ?? "")?.[1];
  if (fence === undefined) return { text, fault: null };
  if (inner.length < 2 || inner.at(-1)?.trimEnd() !== fence) return { text: "", fault: "fence" };
  const value = inner.slice(1, -1).join("\n").trim();
  return { text: value === EMPTY ? "" : value, fault: null };
}
