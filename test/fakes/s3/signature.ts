import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";

const LONGEST_SKEW_MS = 15 * 60_000;

export interface Verdict {
  readonly code: string;
  readonly status: number;
  readonly more?: Readonly<Record<string, string>>;
}

export interface Signer {
  readonly keyId: string;
  readonly secret: string;
}

interface Around {
  readonly signers: readonly Signer[];
  readonly region: string;
  readonly now: number;
}

/** Who signed a request (version 4, in the header), or why it is refused. `body`: as it came. */
export function verify(
  request: IncomingMessage,
  body: Buffer,
  { signers, region, now }: Around,
): Signer | Verdict {
  const header = request.headers.authorization ?? "";
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;
  const [, keyId, day = "", named = "", signed = "", signature] = form.exec(header) ?? [];
  if (keyId === undefined) return { code: "AccessDenied", status: 403 };
  const signer = signers.find((one) => one.keyId === keyId);
  if (signer === undefined) return { code: "InvalidAccessKeyId", status: 403 };
  if (named !== region)
    return { code: "AuthorizationHeaderMalformed", status: 400, more: { Region: region } };
  const date = String(request.headers["x-amz-date"]);
  const at = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(at - now) <= LONGEST_SKEW_MS)) return { code: "RequestTimeTooSkewed", status: 403 };
  const content = String(request.headers["x-amz-content-sha256"]);
  if (content !== "UNSIGNED-PAYLOAD" && content !== sha256(body))
    return { code: "XAmzContentSHA256Mismatch", status: 400 };
  const url = new URL(request.url ?? "/", "http://host");
  const query = [...url.searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const headers = signed.split(";").map((name) => `${name}:${textOf(request.headers[name])}\n`);
  for (const needed of ["host", "x-amz-date", "x-amz-content-sha256"])
    if (!signed.split(";").includes(needed)) return { code: "AccessDenied", status: 403 };
  const path = url.pathname.split("/").map((part) => encode(decodeURIComponent(part)));
  const canonical = [request.method, path.join("/"), query, headers.join(""), signed, content].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
  const key = [day, region, "s3", "aws4_request"].reduce<Buffer | string>(
    (by, part) => createHmac("sha256", by).update(part).digest(),
    `AWS4${signer.secret}`,
  );
  const right = createHmac("sha256", key).update(text).digest("hex");
  return right === signature ? signer : { code: "SignatureDoesNotMatch", status: 403 };
}

function sha256(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function textOf(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value.join(",") : (value ?? "")).trim().replace(/ +/g, " ");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
