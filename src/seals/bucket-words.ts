import type { BucketConfig } from "../config/seals.ts";
import { explain, LazarusError, systemCode } from "../errors.ts";

/** What is known of an error that an S3, or the way to it, answered with. */
interface Refusal {
  readonly code: string;
  readonly status: number;
  readonly said: string;
  /** Of an answer that names the region it wants. */
  readonly region: string | null;
}

interface Asked {
  readonly doing: string;
  /** What people call the bucket. */
  readonly at: string;
  readonly config: Pick<BucketConfig, "bucket" | "region" | "endpoint">;
}

/**
 * An error of an S3 in our words, with what to do. All may be tried again: whoever looks after the bucket may
 * mend it meanwhile.
 */
export function bucketError(error: unknown, { doing, at, config }: Asked): LazarusError {
  if (error instanceof LazarusError) return error;
  const refusal = refusalOf(error);
  const where = `${doing} in ${at} (seals in lazarus.yaml)`;
  if (isFull(refusal))
    return new LazarusError("disk-full", `${where}: it is full: give it more room`, {
      retryable: true,
      cause: error,
    });
  return new LazarusError("directory", `${where}: ${inWords(refusal, config)}`, {
    retryable: true,
    cause: error,
  });
}

function refusalOf(error: unknown): Refusal {
  const { name, Code, Region, $metadata } = error as {
    name?: string;
    Code?: string;
    Region?: string;
    $metadata?: { httpStatusCode?: number };
  };
  return {
    code: systemCode(error) ?? Code ?? name ?? "",
    status: $metadata?.httpStatusCode ?? 0,
    said: explain(error).slice(0, 300),
    region: Region ?? null,
  };
}

const FULL =
  /^(QuotaExceeded|XMinioStorageFull|XMinioAdminBucketQuotaExceeded|InsufficientStorage|InsufficientCapacity|StorageFull|ENOSPC)$/;

function isFull({ code, status }: Refusal): boolean {
  return status === 507 || FULL.test(code);
}

function inWords(refusal: Refusal, { bucket, region, endpoint }: Asked["config"]): string {
  const { code, status, said } = refusal;
  for (const [codes, words] of MEANINGS) if (codes.test(code)) return words;
  for (const [form, words] of OF_THE_WAY) if (form.test(code) || form.test(said)) return words;
  if (code === "NoSuchBucket")
    return `there is no bucket ${bucket}: make it, or name another one${endpoint === null ? "" : "; look at seals_path_style too"}`;
  if (
    /^(PermanentRedirect|AuthorizationHeaderMalformed|TemporaryRedirect|IllegalLocationConstraintException)$/.test(
      code,
    ) ||
    status === 301
  )
    return `it is not of the region ${region}${refusal.region === null ? "" : `, but of ${refusal.region}`} (seals_region)`;
  if (status === 403)
    return "the key may not do that: let it list the bucket, and read, write and remove its objects";
  if (status === 429 || status >= 500) return `it does not work just now (${status}, ${code})`;
  return `it answers ${status === 0 ? "" : `${status}, `}${said}`;
}

const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/^(InvalidAccessKeyId|InvalidAccessKey)$/, "it does not know the access key (seals_key_id)"],
  [/^SignatureDoesNotMatch$/, "the secret of the access key is wrong (seals_secret)"],
  [
    /^(RequestTimeTooSkewed|RequestExpired)$/,
    "its clock and that of this host differ by more than 15 minutes: set the wrong one right",
  ],
  [/^(SlowDown|ServiceUnavailable|Busy)$/, "it is too busy just now"],
];

/** What is wrong between here and there. */
const OF_THE_WAY: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "nobody listens there (connection refused): is it running? (seals_endpoint)"],
  [/ENOTFOUND|EAI_AGAIN/, "its name is not known (seals_endpoint)"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no way to it (seals_endpoint)"],
  [/ALTNAME/i, "its certificate is for another name (seals_endpoint)"],
  [
    /wrong version number|EPROTO|packet length too long/i,
    "it speaks no TLS there: write http://, or its TLS port (seals_endpoint)",
  ],
  [/CERT_HAS_EXPIRED/, "its certificate has run out: it needs a new one"],
  [
    /certificate|self.signed|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/i,
    "its certificate is not trusted (seals_ca_file)",
  ],
  [/ECONNRESET|socket hang up|EPIPE|aborted/i, "it ends the connection (seals_endpoint)"],
  [/Timeout|ETIMEDOUT/i, "it does not answer (seals_endpoint)"],
  [/deserializ|not expected|XML|char '/i, "what answers there is no S3 (seals_endpoint)"],
];
