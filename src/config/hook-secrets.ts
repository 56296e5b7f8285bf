import { resolve } from "node:path";
import { type Kind, REPOSITORIES, secret } from "./kinds.ts";

import { at, isTree, put, readLimited, type Tree, why } from "./source.ts";

/** What signs the deliveries of repositories that a pattern matches. */
export interface HookSecret {
  /** `acme/app`, `acme/*` or `*`. */
  readonly pattern: string;
  readonly secret: string;
}

/** What signs for every repository. */
export const EVERYTHING = "*";

const isPattern = (pattern: string) => pattern === EVERYTHING || REPOSITORIES.test(pattern);

/** One secret for each pattern, or a list while rotating. */
export const secretsByPattern: Kind<HookSecret[]> = {
  what: "a secret for each owner/repo or owner/*, no two of them the same",
  hidden: true,
  read(input) {
    if (!isTree(input)) return undefined;
    const found: HookSecret[] = [];
    for (const [pattern, value] of Object.entries(input)) {
      const values = (Array.isArray(value) ? value : [value]).map((one) => secret.read(one));
      if (!isPattern(pattern) || values.length === 0) return undefined;
      for (const one of values) {
        // Whoever could sign for one could sign for the other.
        if (one === undefined || found.some((each) => each.secret === one)) return undefined;
        found.push({ pattern, secret: one });
      }
    }
    return found.length === 0 ? undefined : found;
  },
};

const PATH = "forge.webhook_secrets";

/** Puts what the files of `forge.webhook_secrets_file` hold beside what stands in `forge.webhook_secrets`. */
export function readSecretsFiles(
  tree: Tree,
  on: { readonly base: string; fault(path: string, what: string): void },
): Tree {
  const files = at(tree, `${PATH}_file`);
  if (!isTree(files)) return tree;
  const given = at(tree, PATH);
  const found: Tree = isTree(given) ? { ...given } : {};
  for (const [pattern, file] of Object.entries(files)) {
    const path = `${PATH}_file.${pattern}`;
    if (found[pattern] !== undefined) on.fault(path, `${PATH} has it as well: one of them must go`);
    else if (typeof file === "string") {
      try {
        found[pattern] = readLimited(resolve(on.base, file)).replace(/\r?\n$/, "");
      } catch (error) {
        on.fault(path, `${JSON.stringify(file)} cannot be read: ${why(error)}`);
      }
    }
  }
  return Object.keys(found).length === 0 ? tree : put(tree, PATH, found);
}

/** Every value of them, for whoever looks for secrets in a file that was not checked yet. */
export function hookSecretsIn(tree: Tree): unknown[] {
  const given = at(tree, PATH);
  return isTree(given) ? Object.values(given).flat() : [];
}
