import * as oauth from "oauth4webapi";
import type { Config } from "../config/config.ts";

/** What of the configuration a sign-in needs. */
export interface LoginSettings {
  readonly forge: Pick<Config["forge"], "url" | "publicUrl">;
  readonly client: { readonly id: string; readonly secret: string };
  /** Where the forge sends people back: `https://lazarus.example.org/login/callback`. */
  readonly redirect: string;
  readonly fetch: typeof fetch;
}

/** What becomes of a browser that came back from the forge. */
export type SignedIn =
  | { readonly kind: "in"; readonly person: { readonly id: number; readonly login: string } }
  | { readonly kind: "denied" | "refusedUs" | "forgeDown" | "strange"; readonly why: string };

/** The scope of the first consent holds for good on Gitea and Forgejo: it must never change. */
const SCOPE = "read:user";

/** A sign-in that begins: where the browser goes, and what is to be remembered of it. */
export async function beginSignIn(
  settings: LoginSettings,
): Promise<{ readonly url: string; readonly state: string; readonly verifier: string }> {
  const [state, verifier] = [oauth.generateRandomState(), oauth.generateRandomCodeVerifier()];
  const url = new URL(`${settings.forge.publicUrl}/login/oauth/authorize`);
  const wanted = {
    ...{ client_id: settings.client.id, redirect_uri: settings.redirect, response_type: "code" },
    ...{ scope: SCOPE, state, code_challenge_method: "S256" },
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  };
  for (const [name, value] of Object.entries(wanted)) url.searchParams.set(name, value);
  return { url: url.href, state, verifier };
}

/**
 * Who came back. The tokens that the forge gives are used once, to ask it who that is, and dropped. Nothing
 * is asked for by discovery: the forge's own idea of its address is often not the one it is reached by.
 */
export async function endSignIn(
  settings: LoginSettings,
  came: { readonly query: URLSearchParams; readonly state: string; readonly verifier: string },
): Promise<SignedIn> {
  const { forge, client: app, redirect } = settings;
  const server: oauth.AuthorizationServer = {
    issuer: forge.publicUrl,
    token_endpoint: `${forge.url}/login/oauth/access_token`,
    userinfo_endpoint: `${forge.url}/login/oauth/userinfo`,
  };
  const client: oauth.Client = { client_id: app.id };
  const options = {
    [oauth.allowInsecureRequests]: true,
    // Ours takes a body as text alone.
    [oauth.customFetch]: (url: string, init: { body?: unknown }) =>
      settings.fetch(url, {
        ...init,
        ...(init.body == null ? {} : { body: String(init.body) }),
      } as RequestInit),
  };
  try {
    const params = oauth.validateAuthResponse(server, client, came.query, came.state);
    const answer = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      // In the body: both forges read credentials of a header without decoding them.
      oauth.ClientSecretPost(app.secret),
      params,
      redirect,
      came.verifier,
      options,
    );
    const { access_token: token } = await oauth.processAuthorizationCodeResponse(server, client, answer);
    const told = await oauth.userInfoRequest(server, client, token, options);
    const claims = await oauth.processUserInfoResponse(server, client, oauth.skipSubjectCheck, told);
    const [id, login] = [Number(claims.sub), claims.preferred_username];
    if (!Number.isSafeInteger(id) || id <= 0 || typeof login !== "string" || login === "")
      return { kind: "strange", why: "userinfo tells no id and login" };
    return { kind: "in", person: { id, login } };
  } catch (error) {
    return whyNot(error);
  }
}

function whyNot(error: unknown): SignedIn {
  if (error instanceof oauth.AuthorizationResponseError)
    return {
      kind: error.error === "access_denied" ? "denied" : "strange",
      why: `the forge says ${error.error}`,
    };
  if (error instanceof oauth.ResponseBodyError) {
    // Both forges give one code for a wrong secret and for a code that was used: only their words differ.
    const description = error.error_description ?? "";
    const isOurs = error.error === "invalid_client" || /client secret/i.test(description);
    return { kind: isOurs ? "refusedUs" : "strange", why: `the forge says ${error.error}: ${description}` };
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError)
    return { kind: "refusedUs", why: `the forge answered ${error.status}` };
  if (error instanceof oauth.OperationProcessingError) {
    const status = error.cause instanceof Response ? error.cause.status : null;
    return status !== null && status >= 500
      ? { kind: "forgeDown", why: `the forge answered ${status}` }
      : { kind: "strange", why: error.message };
  }
  return { kind: "forgeDown", why: error instanceof Error ? error.message : String(error) };
}
