import { readFileSync } from "node:fs";

/** Where forges look for a repository's forms of issues. */
export const FORM_PATH = ".gitea/ISSUE_TEMPLATE/mission-proposal.yaml";

/** The form of mission proposals, as this very repository has it. */
export function formText(): string {
  return readFileSync(new URL(`../../${FORM_PATH}`, import.meta.url), "utf8");
}
