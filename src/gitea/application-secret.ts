import { createFetch } from "./http.ts";

/** What a forge thinks of an OAuth2 application's id and secret. */
export type ApplicationStanding = "known" | "no-such-application" | "wrong-secret" | "unclear";

export interface TryingOptions {
  /** Of the forge, without a slash at its end. */
  readonly url: string;
  readonly client: { readonly id: string; readonly secret: string };
  readonly redirect: string;
  readonly ca?: string | undefined;
  readonly proxyFor?: ((url: URL) => string | null) | undefined;
}

const TIMEOUT_MS = 15_000;
const MEANINGS: readonly (readonly [RegExp, ApplicationStanding])[] = [
  [/client is not authorized/, "known"],
  [/invalid client secret/, "wrong-secret"],
  [/cannot load client/, "no-such-application"],
];

/**
 * Asks for a token with a code that nobody was given: a forge looks at the application and its secret first,
 * so its refusal tells how they are. Source: Gitea's and Forgejo's `routers/web/auth/oauth.go`.
 * @throws what `fetch` throws where the forge does not answer.
 */
export async function tryApplication(options: TryingOptions): Promise<ApplicationStanding> {
  const { url, client, redirect, ca, proxyFor } = options;
  const ask = createFetch({ ca, proxyFor, timeoutMs: TIMEOUT_MS });
  const form = new URLSearchParams({
    ...{ grant_type: "authorization_code", client_id: client.id, client_secret: client.secret },
    ...{ redirect_uri: redirect, code: "nobody-was-given-this-code" },
  });
  const answer = await ask(`${url}/login/oauth/access_token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
    body: form.toString(),
  });
  const said = await answer.text();
  return MEANINGS.find(([form]) => form.test(said))?.[1] ?? "unclear";
}
