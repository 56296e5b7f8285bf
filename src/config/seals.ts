import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type * as z from "zod";
import { key, optional, section } from "./keys.ts";
import { directory, flag, type Kind, pattern, secret, token, url } from "./kinds.ts";
import { at, type Need, type Tree } from "./source.ts";

/** A bucket of an S3 that seals are kept in. */
export interface BucketConfig {
  readonly kind: "s3";
  readonly bucket: string;
  /** Before the names of its objects: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Without a slash at its end; null: that of AWS for the region. */
  readonly endpoint: string | null;
  readonly region: string;
  /** `https://host/bucket/…`, not `https://bucket.host/…`. */
  readonly isPathStyle: boolean;
  readonly keyId: string;
  readonly secret: string;
  /** Text of the certificates that it is trusted by, besides the system's. */
  readonly ca: string | null;
}

/** Where control keeps seals besides on their runners; null: nowhere. */
export type SealsConfig = { readonly kind: "directory"; readonly dir: string } | BucketConfig | null;

const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[\w.-]{1,200})*)\/?$/;

const sealsPlace: Kind<string> = {
  what: "runner, a directory of this host such as /var/lib/lazarus/seals, or a bucket such as s3://seals or s3://seals/lazarus",
  read(input) {
    if (typeof input !== "string" || input === "" || input.includes("\0")) return undefined;
    if (!/^[a-z0-9+.-]+:\/\//i.test(input)) return input;
    const [, , prefix] = BUCKET.exec(input) ?? [];
    if (prefix === undefined || prefix.length > 400) return undefined;
    return prefix.split("/").some((part) => /^\.+$/.test(part)) ? undefined : input;
  },
};

/** Keys at the top of the file about where seals are kept. */
export const SEALS_KEYS = {
  seals: key(
    sealsPlace,
    "runner",
    "where the seals of archived cells are kept: `runner` (there alone); or a directory of the server, or `s3://BUCKET/PREFIX`, as well: from there they come back on any runner ([more](runners.md#seals))",
  ),
  seals_endpoint: optional(
    url,
    "address of the S3 of that bucket, such as https://minio.example.org:9000",
    "that of AWS",
  ),
  seals_region: key(pattern(/^[\w-]{1,64}$/), "us-east-1", "its region, as the S3 calls it"),
  seals_path_style: optional(
    flag,
    "the bucket is named in the path, not in front of the host",
    "true with `seals_endpoint`, else false",
  ),
  seals_key_id: optional(token, "access key of that bucket"),
  seals_secret: optional(secret, "its secret"),
  seals_secret_file: optional(directory, "file that holds the secret, instead"),
  seals_ca_file: optional(directory, "certificates that the S3 is trusted by, besides the system's"),
};

const sealsKeys = section(SEALS_KEYS);
type FileKeys = z.infer<typeof sealsKeys>;

const OF_BUCKETS = [
  ...["seals_endpoint", "seals_region", "seals_path_style", "seals_key_id"],
  ...["seals_secret", "seals_secret_file", "seals_ca_file"],
];

function isBucket(seals: unknown): boolean {
  return typeof seals === "string" && seals.startsWith("s3://");
}

/** Names what a bucket lacks, where the command in hand needs it. A runner of another control has none. */
export function checkSeals(
  tree: Tree,
  { needs, fault }: { readonly needs: readonly Need[]; fault(path: string, what: string): void },
): void {
  const isNeeded = needs.some((need) => need !== "pit" && need !== "forge") && !needs.includes("runner");
  if (!isNeeded || !isBucket(at(tree, "seals"))) return;
  if (at(tree, "seals_key_id") === undefined)
    fault("seals_key_id", "is missing: the access key of the bucket that seals names");
  if (at(tree, "seals_secret") === undefined && at(tree, "seals_secret_file") === undefined)
    fault("seals_secret", "is missing: the secret of that access key (or seals_secret_file)");
}

/** One line for each key that does not hold since `seals` names no bucket. */
export function sealsNotices({ seals }: Pick<FileKeys, "seals">, isGiven: (key: string) => boolean) {
  return isBucket(seals)
    ? []
    : OF_BUCKETS.filter(isGiven).map((path) => `${path}: does not hold, seals names no bucket`);
}

/** @throws Error where `seals_ca_file` cannot be read. */
export function buildSeals(file: FileKeys, base: string): SealsConfig {
  if (file.seals === "runner") return null;
  const [, bucket, path = ""] = BUCKET.exec(file.seals) ?? [];
  if (bucket === undefined) return { kind: "directory", dir: resolve(base, file.seals) };
  const { seals_endpoint: endpoint, seals_ca_file: caFile } = file;
  return {
    kind: "s3",
    bucket,
    prefix: path === "" ? "" : `${path.slice(1)}/`,
    endpoint: endpoint ?? null,
    region: file.seals_region,
    isPathStyle: file.seals_path_style ?? endpoint !== undefined,
    keyId: file.seals_key_id ?? "",
    secret: file.seals_secret ?? "",
    ca: caFile === undefined ? null : readFileSync(resolve(base, caFile), "utf8"),
  };
}

/** For people; null: nowhere. */
export function placeOfSeals(seals: SealsConfig): string | null {
  if (seals === null) return null;
  return seals.kind === "directory" ? seals.dir : `s3://${seals.bucket}/${seals.prefix}`.replace(/\/$/, "");
}
