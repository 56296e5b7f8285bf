import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import * as z from "zod";
import { LazarusError } from "./errors.ts";

const recorded = z.object({ headers: z.record(z.string(), z.string()), body: z.string() });

/** Headers of a recorded delivery that belong to that one connection. */
const OF_THE_CONNECTION = new Set([
  "host",
  "content-length",
  "connection",
  "accept-encoding",
  "transfer-encoding",
]);

/**
 * Signs a recorded delivery (`{headers, body}` as in test/fixtures/gitea) with `secret` and posts it to `url`; answers the status and
 * the text that came back.
 * @throws LazarusError `usage` for a file that is no recorded delivery, `forge-unreachable` when nobody listens at `url`.
 */
export async function postDelivery(
  file: string,
  to: { url: string; secret: string },
): Promise<{ status: number; text: string }> {
  const { headers, body } = readDelivery(file);
  const digest = (algorithm: string) => createHmac(algorithm, to.secret).update(body, "utf8").digest("hex");
  const sent = Object.fromEntries(
    Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name.toLowerCase())),
  );
  for (const name of Object.keys(sent)) {
    if (/^x-hub-signature-256$/i.test(name)) sent[name] = `sha256=${digest("sha256")}`;
    else if (/^x-hub-signature$/i.test(name)) sent[name] = `sha1=${digest("sha1")}`;
    else if (/^x-(gitea|gogs|forgejo)-signature$/i.test(name)) sent[name] = digest("sha256");
  }
  sent["X-Hub-Signature-256"] ??= `sha256=${digest("sha256")}`;
  try {
    const response = await fetch(to.url, {
      method: "POST",
      headers: sent,
      body,
      signal: AbortSignal.timeout(10_000),
    });
    return { status: response.status, text: (await response.text()).trim() };
  } catch (error) {
    throw new LazarusError(
      "forge-unreachable",
      `posting ${file} to ${to.url}: nobody answers there; does serve run?`,
      { cause: error },
    );
  }
}

function readDelivery(file: string): z.infer<typeof recorded> {
  try {
    return recorded.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new LazarusError(
      "usage",
      `reading ${file}: it is not a recorded delivery of the form {"headers": {…}, "body": "…"}`,
      { cause: error },
    );
  }
}
