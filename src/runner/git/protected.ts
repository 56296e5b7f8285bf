import { systemClock } from "../../clock.ts";
import { readGlobs } from "../../globs.ts";
import { inSlices } from "../../slices.ts";
import { attributesChanged } from "./attributes.ts";
import type { Change } from "./changes.ts";
import type { Git } from "./git.ts";

/** Directories and files that decide what CI, hooks, reviews or Lazarus itself do next. */
const deciding = readGlobs([
  ...[
    ...["gitea", "github", "forgejo", "woodpecker", "drone", "crow"],
    ...["circleci", "buildkite", "husky"],
  ].flatMap((name) => [`/.${name}`, `/.${name}.*`]),
  "/jenkinsfile*",
  ...["gitlab-ci", "travis", "cirrus", "build", "pre-commit-config"].flatMap((name) => yaml(`/.${name}`)),
  ...yaml("/azure-pipelines*"),
  ...["/codeowners", "/docs/codeowners", "/.gitlab/codeowners"],
  ...["/", "/.github/", "/.gitlab/"].flatMap((dir) => [`${dir}renovate.json*`, `${dir}.renovaterc*`]),
  ...yaml("/lazarus"),
  ...yaml("/.lazarus"),
  ...[".gitmodules", ".lfsconfig"],
]);

function yaml(stem: string): string[] {
  return [`${stem}.yml`, `${stem}.yaml`];
}

/** Whether a changed path needs a director's word by its name alone. */
export function isProtected(path: string): boolean {
  return deciding(path) === "covered";
}

const ATTRIBUTES = /(^|\/)\.gitattributes$/i;
const MOST_ATTRIBUTES = 50;

/**
 * What among the changes needs a director's word, a sentence each: what decides what runs next, what
 * `publish.protected` or the cell's proposal names, links and submodules at or above these, and attributes by
 * which git runs or rewrites something.
 */
export async function protectedChanges(
  git: Git,
  at: {
    readonly repository: string;
    readonly tip: string;
    readonly patterns: readonly string[];
    readonly untouched: readonly string[];
  },
  changes: readonly Change[],
): Promise<string[]> {
  const own = readGlobs(at.patterns);
  const untouched = readGlobs(at.untouched);
  const found: string[] = [];
  // An agent chooses how many there are, and how long their names.
  await inSlices(changes, { clock: systemClock }, (change) => {
    const sentence = sentenceOf(change, own) ?? touched(change, untouched);
    if (sentence !== null) found.push(sentence);
  });
  const attributes = changes.filter(({ path }) => ATTRIBUTES.test(path));
  for (const change of attributes.slice(0, MOST_ATTRIBUTES)) {
    const what = await attributesChanged(git, at, change);
    if (what !== null) found.push(`${change.path} ${what}`);
  }
  const rest = attributes.length - MOST_ATTRIBUTES;
  if (rest > 0) found.push(`${rest} more .gitattributes are more than can be looked through`);
  return found;
}

/** A link or a submodule above it would be another way there. */
function touched({ path, kinds }: Change, untouched: ReturnType<typeof readGlobs>): string | null {
  const standing = untouched(path);
  const isAbove = standing === "above" && kinds.some((one) => one !== "file");
  return standing === "covered" || isAbove ? `${path} is not to be touched, says the proposal` : null;
}

function sentenceOf(change: Change, own: ReturnType<typeof readGlobs>): string | null {
  const { path } = change;
  const standings = [deciding(path), own(path)];
  if (standings[0] === "covered") return `${path} decides what runs next`;
  if (standings[1] === "covered") return `${path} is protected (publish.protected)`;
  const kind = change.kinds.find((one) => one !== "file");
  if (kind === undefined || !standings.includes("above")) return null;
  return `${path} is a ${kind}, and what decides what runs next would lie below it`;
}
