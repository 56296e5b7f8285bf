import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { editYaml } from "../config/source.ts";
import { sha256 } from "../hash.ts";
import { makePath } from "../make-path.ts";
import { type SetupRecord, write } from "./record.ts";
import { type Step, there } from "./step.ts";

/** What is to stand in a `lazarus.yaml` that is made. Paths are as they are written. */
export interface NewConfig {
  readonly listen: string;
  readonly url: string;
  readonly forgeUrl: string;
  readonly publicUrl: string | null;
  readonly tokenFile: string;
  /** Null: the bot itself is asked who may do what. */
  readonly rightsTokenFile: string | null;
  readonly secretFile: string;
  readonly repositories: readonly string[];
  readonly data: string;
  readonly missions: string;
  readonly agents: Readonly<Record<string, unknown>>;
}

/** `lazarus.yaml` for the first time; JSON is YAML, so values stand as JSON. */
export function configText(config: NewConfig): string {
  const j = JSON.stringify;
  const agents = Object.entries(config.agents).map(([name, section]) => `  ${name}: ${j(section)}`);
  return `# Made by lazarus setup. lazarus.example.yaml of the project shows every key.
server:
  listen: ${config.listen}
  url: ${j(config.url)}
forge:
  url: ${j(config.forgeUrl)}
${config.publicUrl === null ? "" : `  public_url: ${j(config.publicUrl)}\n`}  token_file: ${j(config.tokenFile)}
${config.rightsTokenFile === null ? "" : `  rights_token_file: ${j(config.rightsTokenFile)}\n`}  webhook_secret_file: ${j(config.secretFile)}
  repositories: ${j(config.repositories)}
data: ${j(config.data)}
missions: ${j(config.missions)}
agents:
${agents.join("\n")}
`;
}

/** A new secret for hooks. */
export function newSecret(): string {
  return randomBytes(32).toString("hex");
}

/** How a path is written in the file at `file`: relative where it lies beside it. */
export function asWritten(path: string, file: string): string {
  const short = relative(dirname(file), path);
  return short.startsWith("..") ? path : `./${short}`;
}

/** A file with a secret in it, for its owner alone. */
export function secretFileStep(record: SetupRecord, path: string, text: string): Step {
  const what = `file ${path}`;
  if (existsSync(path)) {
    const isOpen = (statSync(path).mode & 0o077) !== 0;
    if (!isOpen) return there(what);
    return {
      ...{ what, state: "change", detail: "others could read it (mode 0600)" },
      run: async () => void chmodSync(path, 0o600),
    };
  }
  return { what, state: "make", detail: "mode 0600", run: async () => makeFile(record, path, `${text}\n`) };
}

/** Writes a secret that the forge told just now, in the place of one that holds no more. */
export function replaceSecret(record: SetupRecord, path: string, text: string): void {
  makeFile(record, path, `${text}\n`);
}

export function configStep(record: SetupRecord, path: string, text: string): Step {
  return {
    ...{ what: `file ${path}`, state: "make", detail: "mode 0600" },
    run: async () => makeFile(record, path, text),
  };
}

function makeFile(record: SetupRecord, path: string, text: string): undefined {
  record.keep({ kind: "file", name: path, sha256: sha256(text) });
  makePath(dirname(path), 0o700);
  write(path, text);
}

/** Other values in a file that is there; its comments stay. What set-up made stays its own. */
export function changeStep(
  record: SetupRecord,
  path: string,
  changes: readonly (readonly [path: readonly string[], value: unknown])[],
): Step {
  const keys = changes.map(([key]) => key.join(".")).join(", ");
  return {
    ...{ what: `file ${path}`, state: "change", detail: keys },
    async run() {
      const text = editYaml(readFileSync(path, "utf8"), changes);
      const own = record.find({ kind: "file", name: path });
      if (own !== null) record.keep({ kind: "file", name: path, sha256: sha256(text) });
      write(path, text, statSync(path).mode & 0o777);
      return undefined;
    },
  };
}

/** Where secrets lie beside the configuration. */
export function secretPath(configFile: string, name: string): string {
  return join(dirname(configFile), "secrets", name);
}
