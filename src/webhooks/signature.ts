import { createHmac, timingSafeEqual } from "node:crypto";

/** Compares a body with its signature while the body arrives. */
export interface SignatureCheck {
  /** The next bytes, raw. */
  update(bytes: Buffer): void;
  /** Whether one of the secrets signed all of them; never where there were none. */
  isSigned(): boolean;
}

const SIGNATURE = /^sha256=([0-9a-f]{64})$/;

/**
 * For the value of `X-Hub-Signature-256`; null where it is none. Takes as long for any digest.
 * @see https://docs.gitea.com/usage/webhooks: HMAC-SHA-256 of the body, in hex
 */
export function checkSignature(
  header: string | undefined,
  secrets: readonly string[],
): SignatureCheck | null {
  const digest = SIGNATURE.exec(header ?? "")?.[1];
  if (digest === undefined) return null;
  const given = Buffer.from(digest, "hex");
  const sums = secrets.map((secret) => createHmac("sha256", secret));
  let bytes = 0;
  return {
    update(chunk) {
      bytes += chunk.length;
      for (const sum of sums) sum.update(chunk);
    },
    isSigned: () => bytes > 0 && sums.map((sum) => timingSafeEqual(sum.digest(), given)).includes(true),
  };
}
