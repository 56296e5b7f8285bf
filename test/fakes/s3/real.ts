import type { BucketConfig } from "../../../src/config/seals.ts";

/**
 * A real S3 that `LAZARUS_E2E_S3` names: `http://KEY:SECRET@host:port/BUCKET`, with `?region=` where it is not
 * us-east-1. Null where untold.
 */
export function realBucket(): Omit<BucketConfig, "prefix"> | null {
  const named = process.env.LAZARUS_E2E_S3;
  if (named === undefined || named === "") return null;
  const { origin, pathname, username, password, searchParams } = new URL(named);
  return {
    ...{ kind: "s3", bucket: pathname.slice(1), endpoint: origin, isPathStyle: true, ca: null },
    region: searchParams.get("region") ?? "us-east-1",
    ...{ keyId: decodeURIComponent(username), secret: decodeURIComponent(password) },
  };
}
