import { key, optional, section } from "./keys.ts";
import { directory, flag, span, token } from "./kinds.ts";

/** Who may sign in to the dashboard, and for how long. */
export const login = section({
  client_id: optional(
    token,
    "of the OAuth2 application on the forge ([how](dashboard.md)); without one only `lazarus open` lets anybody in",
  ),
  client_secret: optional(token, "its secret"),
  client_secret_file: optional(directory, "file that holds the secret, instead"),
  session: key(span, "8h", "how long one stays signed in to the dashboard"),
  allow_http: key(
    flag,
    false,
    "sign-in over plain http, also off this machine: whoever sees the traffic is in",
  ),
}).prefault({});

/** What is written down of who asked for what. */
export const audit = section({
  keep: key(span, "400d", "how long every action and refusal is kept"),
}).prefault({});
