import { resolve } from "node:path";
import * as z from "zod";
import { parseTree, readLimited, why } from "../config/source.ts";
import { LazarusError } from "../errors.ts";

/** How the mission form reaches a repository. */
export const FORM_WAYS = ["pull-request", "commit", "none"] as const;
export type FormWay = (typeof FORM_WAYS)[number];

const text = z.string().min(1);
const schema = z.strictObject({
  forge: text.optional(),
  public_url: text.optional(),
  token: text.optional(),
  token_file: text.optional(),
  rights_token: text.optional(),
  rights_token_file: text.optional(),
  admin_token: text.optional(),
  admin_token_file: text.optional(),
  bot: text.optional(),
  repositories: z.array(text).min(1).optional(),
  agents: z.array(text).optional(),
  url: text.optional(),
  listen: text.optional(),
  form: z.enum(FORM_WAYS).optional(),
  login: z.boolean().optional(),
  issue: z.boolean().optional(),
  data: text.optional(),
  missions: text.optional(),
});

/** What `lazarus setup` would ask, said beforehand: by flags, or by `--answers FILE` under these names. */
export type Answers = z.output<typeof schema>;

/**
 * Reads `--answers FILE` (YAML).
 * @throws LazarusError `usage` that names every key that is wrong.
 */
export function readAnswers(file: string, cwd: string): Answers {
  const path = resolve(cwd, file);
  let tree: unknown;
  try {
    const read = parseTree(readLimited(path));
    if (read.faults.length > 0) throw new Error(read.faults.join("; "));
    tree = read.tree;
  } catch (error) {
    throw new LazarusError("usage", `--answers: ${path} cannot be read: ${why(error)}`);
  }
  const parsed = schema.safeParse(tree);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) =>
    issue.code === "unrecognized_keys"
      ? `${issue.keys.join(", ")}: no such key; there are ${Object.keys(schema.shape).join(", ")}`
      : `${issue.path.join(".")}: ${issue.message}`,
  );
  throw new LazarusError("usage", `--answers: ${path}: ${faults.join("; ")}`);
}

/** The content of a file that holds one secret, without the newline at its end. */
export function readSecret(file: string, of: string): string {
  let secret: string;
  try {
    secret = readLimited(file).replace(/\r?\n$/, "");
  } catch (error) {
    throw new LazarusError("usage", `${of}: ${file} cannot be read: ${why(error)}`);
  }
  if (!/^[\x21-\x7e]+$/.test(secret))
    throw new LazarusError("usage", `${of}: ${file} does not hold one token on one line`);
  return secret;
}
