import { parse } from "yaml";
import { tryGit } from "./git.ts";
import type { Repository } from "./state.ts";

interface Field {
  readonly type: string;
  readonly id?: string;
  readonly attributes?: { readonly label?: string; readonly value?: string; readonly render?: string };
  readonly visible?: readonly string[];
}

/** The form at a path of the default branch; null where there is none. */
async function formAt(repo: Repository, path: string): Promise<readonly Field[] | null> {
  const answer = await tryGit(repo.dir, ["show", `refs/heads/${repo.defaultBranch}:${path}`]);
  if (answer.code !== 0) return null;
  return (parse(answer.stdout) as { body?: readonly Field[] }).body ?? null;
}

/**
 * The text of the issue that a filled form makes. Nothing is checked: not what is required, not what a field
 * holds. @see Gitea modules/issue/template, `RenderToMarkdown`
 */
export async function renderForm(
  repo: Repository,
  path: string,
  values: (id: string) => string,
): Promise<string | null> {
  const form = await formAt(repo, path);
  if (form === null) return null;
  return form
    .map((field) => {
      const { label = "", value = "", render } = field.attributes ?? {};
      if (field.type === "markdown")
        return field.visible?.includes("content") === true ? `${value.trimEnd()}\n\n` : "";
      const typed = values(field.id ?? "");
      if (typed === "") return `### ${label}\n\n_No response_\n\n`;
      if (render === undefined) return `### ${label}\n\n${typed}\n\n`;
      const longest = [...typed.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 2);
      const fence = "`".repeat(longest + 1);
      return `### ${label}\n\n${fence}${render}\n${typed}\n${fence}\n\n`;
    })
    .join("");
}
