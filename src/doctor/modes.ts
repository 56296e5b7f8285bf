import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { at, isTree, readSource } from "../config/source.ts";
import { type Finding, finding } from "./finding.ts";

/** Keys of the file that name a file with a secret. */
const SECRET_FILES = [
  ...["forge.token_file", "forge.rights_token_file", "forge.webhook_secret_file"],
  ...["login.client_secret_file", "metrics.token_file", "queue_password_file", "runner.join_file"],
];
/** What lies in data and must be its owner's alone. */
const OWN = ["lazarus.db", "heartbeat.key", "runners.key", "setup.json"];
/** A group may read, where somebody wants that: agents are in none of Lazarus' groups. */
const TOO_OPEN = 0o027;

/** Files with secrets that are there, and may be read or changed by those who must not. */
export function openFiles(
  file: string | null,
  dataDir: string,
): { readonly path: string; readonly mode: number }[] {
  const paths = [
    ...(file === null ? [] : [file, ...namedIn(file)]),
    ...OWN.map((name) => join(dataDir, name)),
  ];
  return [...new Set(paths)].flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    const mode = stat === undefined ? 0 : stat.mode & 0o777;
    return (mode & TOO_OPEN) === 0 ? [] : [{ path, mode }];
  });
}

/** Modes of the files that hold secrets. */
export function examineModes(file: string | null, dataDir: string): Finding[] {
  const found = openFiles(file, dataDir).map(({ path, mode }) =>
    finding(
      "warn",
      "modes",
      `others may read or change ${path} (mode ${mode.toString(8).padStart(4, "0")}): chmod 600 it, or lazarus doctor --fix`,
    ),
  );
  return found.length > 0 ? found : [finding("ok", "modes", "files with secrets are for Lazarus alone")];
}

function namedIn(file: string): string[] {
  const { tree } = readSource({ file, env: {}, cwd: dirname(file) });
  const many = at(tree, "forge.webhook_secrets_file");
  const named = [...SECRET_FILES.map((key) => at(tree, key)), ...(isTree(many) ? Object.values(many) : [])];
  return named.flatMap((one) => (typeof one === "string" ? [resolve(dirname(file), one)] : []));
}
