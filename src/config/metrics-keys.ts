import { optional, section } from "./keys.ts";
import { directory, listen, token } from "./kinds.ts";

/** Where `/metrics` is; neither key: nowhere. */
export const metrics = section({
  listen: optional(listen, "`/metrics` on an address of its own, without a token"),
  token: optional(token, "`/metrics` on `server.listen`, for who brings it as `Authorization: Bearer`"),
  token_file: optional(directory, "file that holds that token, instead"),
}).prefault({});
