import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { StatefulSet } from "kubernetes-types/apps/v1.js";
import type { ConfigMap, Container, Namespace, Secret } from "kubernetes-types/core/v1.js";
import type { PodDisruptionBudget } from "kubernetes-types/policy/v1.js";
import { parseAllDocuments } from "yaml";

const ROOT = resolve(import.meta.dirname, "../..");

type With<Kind, Keys extends keyof Kind> = Kind & Required<Pick<Kind, Keys>>;
/** What of Kubernetes stands in `contrib/kubernetes`, by `apiVersion kind`. */
export interface Kinds {
  readonly "v1 Namespace": With<Namespace, "metadata">;
  readonly "v1 ConfigMap": With<ConfigMap, "metadata" | "data">;
  readonly "v1 Secret": With<Secret, "metadata" | "stringData">;
  readonly "apps/v1 StatefulSet": With<StatefulSet, "metadata" | "spec">;
  readonly "policy/v1 PodDisruptionBudget": With<PodDisruptionBudget, "metadata" | "spec">;
}

export type KubernetesDocument = Kinds[keyof Kinds];

/** The documents of a text as `kubectl` reads them. @throws Error for what is no YAML, or has a key twice. */
export function readDocuments(text: string): KubernetesDocument[] {
  // It reads YAML 1.1, where 0440 is octal and `on` is true.
  return parseAllDocuments(text, { version: "1.1" }).map((document) => {
    for (const fault of [...document.errors, ...document.warnings]) throw fault;
    return document.toJS() as KubernetesDocument;
  });
}

const OPTIONS = {
  ...{ target: "ES2023", module: "nodenext", types: ["node"], strict: true },
  ...{ noEmit: true, allowImportingTsExtensions: true, skipLibCheck: true },
};

/**
 * What is wrong with documents by the types of Kubernetes' own API: keys that it does not know, at any depth,
 * keys that are missing or hold something else, and kinds that are not in {@link Kinds}. The compiler says it.
 */
export function faultsOf(documents: readonly KubernetesDocument[]): string[] {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-kubernetes-"));
  try {
    const lines = documents.map((document, index) => {
      const kind = JSON.stringify(`${document.apiVersion} ${document.kind}`);
      return `export const document${index}: Kinds[${kind}] = ${JSON.stringify(document, null, 2)};`;
    });
    const kinds = `import type { Kinds } from ${JSON.stringify(import.meta.filename)};`;
    symlinkSync(join(ROOT, "node_modules"), join(dir, "node_modules"));
    writeFileSync(join(dir, "documents.ts"), [kinds, ...lines].join("\n"));
    const options = { ...OPTIONS, typeRoots: [join(ROOT, "node_modules/@types")] };
    const project = { compilerOptions: options, files: ["documents.ts"] };
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(project));
    const words = [join(ROOT, "node_modules/typescript/bin/tsc"), "--pretty", "false", "-p", dir];
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
    const said = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
    return status === 0 ? [] : [`tsc ended with ${status}`, ...said];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** A pod's only container, with the directories and files that it would find, below `root`. */
export interface PlacedPod {
  readonly env: Readonly<Record<string, string>>;
  readonly words: readonly string[];
}

/** Lays out what a pod of the set mounts. Paths in what it reads are moved below `root` as well. */
export function placePod(
  root: string,
  name: string,
  of: {
    readonly set: Kinds["apps/v1 StatefulSet"];
    readonly config: Kinds["v1 ConfigMap"];
    readonly secrets: readonly Kinds["v1 Secret"][];
  },
): PlacedPod {
  const { containers, volumes = [] } = of.set.spec.template.spec ?? { containers: [] };
  const { args = [], env = [], envFrom = [], volumeMounts = [] } = containers[0] as Container;
  const secret = (wanted: string | undefined) =>
    of.secrets.find((one) => one.metadata.name === wanted)?.stringData ?? {};
  const mounted = volumeMounts.map((one) => one.mountPath);
  const move = (text: string) =>
    mounted.reduce(
      (moved, path) => moved.replaceAll(new RegExp(`(?<![\\w.-])${path}`, "g"), join(root, path)),
      text,
    );
  const variables = env.map(({ name: key, value }) => [key, value ?? name] as const);
  for (const { name: volume, mountPath, subPath, subPathExpr } of volumeMounts) {
    const source = volumes.find((one) => one.name === volume);
    const files =
      source?.configMap?.name === of.config.metadata.name
        ? of.config.data
        : secret(source?.secret?.secretName);
    const only = subPathExpr?.replaceAll("$(POD_NAME)", name) ?? subPath;
    for (const [file, text] of Object.entries(files)) {
      if (only !== undefined && only !== file) continue;
      const path = join(root, mountPath, only === undefined ? file : "");
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, move(text), { mode: 0o440 });
    }
    if (source === undefined) mkdirSync(join(root, mountPath), { recursive: true });
  }
  const given = envFrom.flatMap(({ secretRef }) => Object.entries(secret(secretRef?.name)));
  return { env: Object.fromEntries([...variables, ...given]), words: args.map(move) };
}
