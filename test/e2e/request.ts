import type { RawAnswer } from "./server.ts";

/** One request; redirects are answers. */
export async function send(url: string, init: RequestInit): Promise<RawAnswer> {
  const answer = await fetch(url, { redirect: "manual", ...init });
  const text = await answer.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: answer.status, headers: answer.headers, text, json };
}
