/** Where the form lies, here and in each repository that offers it. */
export const FORM = ".gitea/ISSUE_TEMPLATE/mission-proposal.yaml";

/** The form's fields by their headings, as a forge renders them into an issue's text. */
const HEADINGS = [
  "Objective",
  "Acceptance criteria",
  "Agents",
  "Target",
  "Base branch",
  "Time to live",
  "Checks",
  "Not to be touched",
] as const;

export type FormValues = Partial<Record<(typeof HEADINGS)[number], string>>;

/** What a forge makes of the filled form: the text of the issue that is opened with it. */
export function formBody(values: FormValues): string {
  const fields = HEADINGS.map((heading) => {
    const value = values[heading] ?? "";
    if (value === "") return `### ${heading}\n\n_No response_\n\n`;
    return heading === "Not to be touched"
      ? `### ${heading}\n\n\`\`\`text\n${value}\n\`\`\`\n\n`
      : `### ${heading}\n\n${value.replace(/\n/g, "\r\n")}\n\n`;
  });
  return `<!-- lazarus:mission:1 -->\n\n${fields.join("")}`;
}
