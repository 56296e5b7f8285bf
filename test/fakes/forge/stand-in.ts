import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Faults } from "./faults.ts";
import { People } from "./people.ts";
import { ForgeServer, type SeenRequest } from "./server.ts";
import { World } from "./state.ts";
import { type Line, waysOf } from "./ways.ts";
import { Deliveries, type Delivery } from "./webhooks.ts";

export interface StandInOptions {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** How long deliveries wait in the server's queue: 0 by default, about 120 on real servers. */
  readonly deliveryDelayMs?: number;
  /** Deliveries overtake each other. */
  readonly shuffle?: boolean;
  /** 5,000 as on real servers where untold. */
  readonly deliveryTimeoutMs?: number;
  /** A comment by API on a pull request is stored, answered 500 as HTML, and fires nothing (recorded.md). */
  readonly bugPullRequestComment?: boolean;
  /** Whose ways it has; `gitea-1.23` where untold. */
  readonly line?: Line;
}

const VERSIONS: Readonly<Record<Line, string>> = {
  "gitea-1.23": "1.23.0+stand-in",
  "gitea-1.26": "1.26.0+stand-in",
  "forgejo-10": "10.0.0-stand-in+gitea-1.22.0",
};

/** A running stand-in: HTTP for the program, `people` for the test that plays its users. */
export interface StandIn {
  readonly url: string;
  readonly version: string;
  readonly admin: { readonly login: string; readonly password: string; readonly token: string };
  /** Acts as a person would in the browser, without HTTP, firing the same deliveries. */
  readonly people: People;
  readonly faults: Faults;
  /** Everything inside, for tests that must look or put things right by hand. */
  readonly world: World;
  /** Every request since the start, oldest first. */
  readonly requests: readonly SeenRequest[];
  /** How many requests of this method had a path (with its query) that fits. */
  count(method: string, path: RegExp): number;
  readonly deliveries: readonly Delivery[];
  /** Sends a delivery again under a new UUID, as the button in the browser does. */
  redeliver(uuid: string): Delivery;
  /** Resolves when no delivery waits or is under way. */
  deliveriesDone(): Promise<void>;
  exportThread(repo: string, number: number): string;
  stop(): Promise<void>;
}

/**
 * Starts the stand-in on 127.0.0.1 with an admin named `root1`: an honest Gitea as far as Lazarus
 * looks at it, in memory but for git, whose bare repositories lie in a temporary directory until `stop`.
 */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const root = await mkdtemp(join(tmpdir(), "stand-in-"));
  const deliveries = new Deliveries({
    delayMs: options.deliveryDelayMs ?? 0,
    shuffle: options.shuffle ?? false,
    ...(options.deliveryTimeoutMs === undefined ? {} : { timeoutMs: options.deliveryTimeoutMs }),
  });
  const line = options.line ?? "gitea-1.23";
  const version = VERSIONS[line];
  const world = new World({
    root,
    version,
    ways: waysOf(line),
    deliveries,
    bugPullRequestComment: options.bugPullRequestComment ?? false,
  });
  const faults = new Faults();
  const server = new ForgeServer(world, faults);
  world.url = await server.listen(options.port ?? 0);
  const admin = world.addUser("root1", { isAdmin: true });
  const people = new People(world);
  return {
    url: world.url,
    version,
    admin: { login: admin.login, password: admin.password, token: world.addToken(admin).secret },
    people,
    faults,
    world,
    requests: server.requests,
    count: (method, path) =>
      server.requests.filter((one) => one.method === method && path.test(one.path)).length,
    deliveries: deliveries.log,
    redeliver: (uuid) => deliveries.redeliver(uuid),
    deliveriesDone: () => deliveries.idle(),
    exportThread: (repo, number) => people.exportThread(repo, number),
    async stop() {
      deliveries.stop();
      await server.close();
      await rm(root, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
