import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import * as z from "zod";
import { matches } from "../commands/rights.ts";
import type { HookSecret } from "../config/hook-secrets.ts";
import { LazarusError } from "../errors.ts";
import { repositoryNameOf } from "../webhooks/parse.ts";

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
 * Signs a recorded delivery (`{headers, body}` as in test/fixtures/gitea) with `secret`, else with the first
 * of `secrets` that signs for its repository, and posts it to `url`; answers the status and the text that
 * came back.
 * @throws LazarusError `usage` for a file that is no recorded delivery, `forge-unreachable` when nobody
 * listens at `url`.
 */
export async function postDelivery(
  file: string,
  to: { url: string; secret?: string; secrets: readonly HookSecret[] },
): Promise<{ status: number; text: string }> {
  const { headers, body } = readDelivery(file);
  const secret = to.secret ?? secretFor(body, to.secrets);
  const digest = (algorithm: string) => createHmac(algorithm, secret).update(body, "utf8").digest("hex");
  // Names compare without case: a recording in small letters must not leave its old signature beside the new
  // one.
  const sent = new Headers(
    Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name.toLowerCase())),
  );
  sent.set("X-Hub-Signature-256", `sha256=${digest("sha256")}`);
  if (sent.has("X-Hub-Signature")) sent.set("X-Hub-Signature", `sha1=${digest("sha1")}`);
  for (const family of ["Gitea", "Gogs", "Forgejo"]) {
    const name = `X-${family}-Signature`;
    if (sent.has(name)) sent.set(name, digest("sha256"));
  }
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

function secretFor(body: string, secrets: readonly HookSecret[]): string {
  let name: string | null = null;
  try {
    name = repositoryNameOf(JSON.parse(body));
  } catch {
    // It is posted as it is: what the server says of it is what is asked for.
  }
  const fitting = secrets.find(({ pattern }) => name === null || matches(pattern, name));
  return (fitting ?? secrets[0])?.secret ?? "";
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
