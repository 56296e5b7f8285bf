import { lineOf, type Ways, waysOf } from "../fakes/forge/ways.ts";
import { type Listener, type Received, startListener } from "./listener.ts";
import type { E2eServer, E2eUser, RawAnswer } from "./server.ts";

export const SECRET = "a secret of this test";
export const repo = "acme/app";
export const R = `/repos/${repo}`;

/** One server with a repository, three people and a hook: what every fact stands on. */
export interface Ground {
  readonly server: E2eServer;
  readonly listener: Listener;
  /** Where servers differ: what this one does. */
  readonly ways: Ways;
  /** Has write permission. */
  readonly dev: E2eUser;
  /** Is repository admin. */
  readonly bot: E2eUser;
  /** Is nobody here, and may read what is public. */
  readonly reader: E2eUser;
  status(as: E2eUser | null, method: string, path: string, body?: unknown): Promise<RawAnswer["status"]>;
  /** The first delivery of that kind with that text. */
  delivery(type: string, action: string | undefined, text: string): Promise<Received>;
  /** A draft from a new branch of that name with one file, opened by the bot; answers its number. */
  openFeature(name: string): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a server and prepares it; stops everything again where that fails. */
export async function prepare(start: () => Promise<E2eServer>): Promise<Ground> {
  const listener = await startListener();
  const server = await start();
  const stop = async () => {
    await server.stop();
    await listener.stop();
  };
  try {
    const [dev, bot, reader] = [
      await server.createUser("dev"),
      await server.createUser("lazarus"),
      await server.createUser("reader"),
    ];
    await server.createRepository({ owner: "acme", name: "app", files: { "src.txt": "one\n" } });
    await server.addCollaborator(repo, "dev", "write");
    await server.addCollaborator(repo, "lazarus", "admin");
    await server.createHook(repo, listener.url, SECRET);
    return {
      server,
      listener,
      ways: waysOf(lineOf(server.version)),
      dev,
      bot,
      reader,
      status: async (as, method, path, body) => (await server.api(as, method, path, body)).status,
      delivery: (type, action, text) =>
        listener.find(
          ({ headers, payload, body }) =>
            headers["x-gitea-event-type"] === type && payload.action === action && body.includes(text),
          `a delivery ${type} ${action ?? ""} with ${text} came`,
        ),
      async openFeature(name) {
        await server.commitFile(bot, repo, { branch: name, path: `${name}.txt`, text: `${name}\n` });
        return server.openPullRequest(bot, repo, {
          head: name,
          base: "main",
          title: `WIP: ${name}`,
          body: "",
        });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
