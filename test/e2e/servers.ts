import { type StandInOptions, startStandIn } from "../fakes/forge/stand-in.ts";
import { HttpServer } from "./http-server.ts";
import { startRealServer } from "./real-server.ts";
import type { E2eServer } from "./server.ts";

export type * from "./server.ts";
export { startRealServer };

/**
 * The stand-in behind the interface; `options` as the real one behaves where untold (but without its delays).
 */
export async function startStandInServer(options: StandInOptions = {}): Promise<E2eServer> {
  const standIn = await startStandIn(options);
  const { login, password, token } = standIn.admin;
  const id = standIn.world.mustUser(login).id;
  return new HttpServer({
    name: "stand-in",
    url: standIn.url,
    version: standIn.version,
    admin: { id, login, password, token },
    stop: () => standIn.stop(),
  });
}

/**
 * The executable that `LAZARUS_E2E_GITEA` names, with `LAZARUS_E2E_STATIC`'s templates; null where untold.
 */
export function realServerSettings(): { executable: string; staticRoot: string | null } | null {
  const executable = process.env.LAZARUS_E2E_GITEA;
  if (executable === undefined || executable === "") return null;
  return { executable, staticRoot: process.env.LAZARUS_E2E_STATIC || null };
}

/** A real server where the environment names one, else the stand-in. */
export function serverFromEnvironment(): Promise<E2eServer> {
  const real = realServerSettings();
  return real ? startRealServer(real.executable, real.staticRoot) : startStandInServer();
}
