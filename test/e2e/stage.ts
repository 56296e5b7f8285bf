import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { StandInOptions } from "../fakes/forge/stand-in.ts";
import { PATIENCE_MS } from "../fakes/until.ts";
import { AGENTS } from "./agents.ts";
import { HOOK_SECRET, Lazarus } from "./lazarus.ts";
import {
  type E2eComment,
  type E2eServer,
  type E2eUser,
  realServerSettings,
  serverFromEnvironment,
  startStandInServer,
} from "./servers.ts";

/** A step takes seconds; on a machine that has other work it takes many times as long. */
/** A real server answers a look in milliseconds, but has other work too. */
const LOOK_MS = 40;

/** An issue or a pull request. */
export interface Thread {
  readonly repo: string;
  readonly number: number;
}

export interface StageOptions {
  readonly limits?: Readonly<Record<string, unknown>>;
  /** The configuration's `pit`. */
  readonly pit?: Readonly<Record<string, unknown>>;
  /** The configuration's `publish`. */
  readonly publish?: Readonly<Record<string, unknown>>;
  readonly directors?: readonly string[];
  /** How the stand-in behaves where no real server is named. */
  readonly standIn?: StandInOptions;
  /** The configuration's `checks`. */
  readonly checks?: Readonly<Record<string, unknown>>;
  /** {@link AGENTS} where untold. */
  readonly agents?: Readonly<Record<string, string>>;
  /** Keys that every agent has in the configuration. */
  readonly agentMore?: Readonly<Record<string, unknown>>;
  /** What lies in the repository besides the README. */
  readonly files?: Readonly<Record<string, string>>;
  /** Merged over the top of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** The program that serves; that of this checkout where untold. */
  readonly bin?: string;
  /** False: nothing serves yet. */
  readonly serve?: boolean;
  /** False: the forge has no hook, so nothing is ever delivered. */
  readonly hook?: boolean;
  /** Merged over the configuration's `forge`, once there are people; `bot` is what the bot may do then. */
  readonly forge?: (server: E2eServer) => Promise<{ readonly keys: object; readonly bot: "write" | "admin" }>;
  /** `forge.poll`; as configured by default where untold. */
  readonly poll?: string;
}

/**
 * A server with people and a repository, and a Lazarus beside it: what every scenario plays on. It is read as
 * people read it: comments, reactions, pull requests, files, and what the command line prints.
 */
export class Stage {
  readonly server: E2eServer;
  readonly lazarus: Lazarus;
  /** Has write permission. */
  readonly dev: E2eUser;
  /** Is repository admin, so a director. */
  readonly lead: E2eUser;
  /** May read what is public. */
  readonly reader: E2eUser;
  readonly bot: E2eUser;
  /** With a README and `src.txt` on `main`. */
  readonly repo = "acme/app";

  private constructor(
    server: E2eServer,
    lazarus: Lazarus,
    people: { dev: E2eUser; lead: E2eUser; reader: E2eUser; bot: E2eUser },
  ) {
    this.server = server;
    this.lazarus = lazarus;
    this.dev = people.dev;
    this.lead = people.lead;
    this.reader = people.reader;
    this.bot = people.bot;
  }

  /** Starts everything; stops it again where that fails. */
  static async set(options: StageOptions = {}): Promise<Stage> {
    const server = await (realServerSettings() === null
      ? startStandInServer(options.standIn)
      : serverFromEnvironment());
    let lazarus: Lazarus | null = null;
    try {
      const people = {
        dev: await server.createUser("dev"),
        lead: await server.createUser("lead"),
        reader: await server.createUser("reader"),
        bot: await server.createUser("lazarus"),
      };
      const forge = await options.forge?.(server);
      lazarus = await Lazarus.make({
        forgeUrl: server.url,
        token: people.bot.token,
        agents: options.agents ?? AGENTS,
        ...(options.bin === undefined ? {} : { bin: options.bin }),
        ...(options.agentMore === undefined ? {} : { agentMore: options.agentMore }),
        directors: options.directors ?? [],
        forge: { ...(options.poll === undefined ? {} : { poll: options.poll }), ...forge?.keys },
        more: {
          // The same port again after a restart: hooks know it.
          server: { listen: `127.0.0.1:${await freePort()}` },
          // Nothing is tried again by itself, but where that is what is looked at.
          limits: { grace: "2s", revives: 0, ...options.limits },
          ...(options.pit === undefined ? {} : { pit: options.pit }),
          ...(options.checks === undefined ? {} : { checks: options.checks }),
          ...(options.publish === undefined ? {} : { publish: options.publish }),
          ...options.more,
        },
      });
      const stage = new Stage(server, lazarus, people);
      await stage.createRepository(stage.repo, {
        files: options.files ?? { "src.txt": "one\n" },
        ...(options.hook === false ? { hook: null } : {}),
        ...(forge === undefined ? {} : { bot: forge.bot }),
      });
      if (options.serve !== false) await lazarus.serve();
      return stage;
    } catch (error) {
      await lazarus?.remove();
      await server.stop();
      throw error;
    }
  }

  async strike(): Promise<void> {
    await this.lazarus.end();
    await this.lazarus.killRuns();
    await this.lazarus.remove();
    await this.server.stop();
  }

  /** Puts other values at the top of the configuration, for the next start of `serve`. */
  async reconfigure(more: Readonly<Record<string, unknown>>): Promise<void> {
    const { server, lazarus, bot } = this;
    await lazarus.configure({
      forgeUrl: server.url,
      token: bot.token,
      agents: {},
      more: { server: { listen: lazarus.listen }, ...more },
    });
  }

  /** Where the hooks of this stage deliver to. */
  get hookUrl(): string {
    return `http://${this.lazarus.listen}/webhooks/gitea`;
  }

  /**
   * A repository with the stage's people on it, and a hook unless `hook` names another place (null: none).
   */
  async createRepository(
    fullName: string,
    options: {
      files?: Record<string, string>;
      private?: boolean;
      autoInit?: boolean;
      hook?: string | null;
      bot?: "read" | "write" | "admin";
    } = {},
  ): Promise<string> {
    const [owner = "", name = ""] = fullName.split("/");
    const { hook = this.hookUrl, bot = "admin", ...wanted } = options;
    await this.server.createRepository({ owner, name, ...wanted });
    await this.server.addCollaborator(fullName, this.dev.login, "write");
    await this.server.addCollaborator(fullName, this.lead.login, "admin");
    await this.server.addCollaborator(fullName, this.bot.login, bot);
    if (hook !== null) await this.server.createHook(fullName, hook, HOOK_SECRET);
    return fullName;
  }

  async openIssue(
    title: string,
    options: { as?: E2eUser; repo?: string; body?: string } = {},
  ): Promise<Thread> {
    const { as = this.dev, repo = this.repo, body = "Please." } = options;
    return { repo, number: await this.server.openIssue(as, repo, { title, body }) };
  }

  /** Types a comment; answers its id. */
  async type(as: E2eUser, at: Thread, body: string): Promise<number> {
    return (await this.server.comment(as, at.repo, { number: at.number, body })).id;
  }

  async comments(at: Thread): Promise<E2eComment[]> {
    return this.server.comments(at.repo, at.number);
  }

  /** The bot's comments that are no cards, without their markers. */
  async replies(at: Thread): Promise<string[]> {
    const said = (await this.comments(at)).filter((one) => one.author === this.bot.login && !isCard(one));
    return said.map((one) => asShown(one.body).replace(/^<!--.*-->\n/, ""));
  }

  /** All cards of a thread, oldest first, as they are shown. */
  async cards(at: Thread): Promise<E2eComment[]> {
    const cards = (await this.comments(at)).filter((one) => one.author === this.bot.login && isCard(one));
    return cards.map((one) => ({ ...one, body: asShown(one.body) }));
  }

  /** Waits until the youngest card of a thread reads like `expected`; answers its text. */
  async card(at: Thread, expected: string | RegExp): Promise<string> {
    return seen(
      `the card of ${at.repo}#${at.number}`,
      async () => (await this.cards(at)).at(-1)?.body ?? "no card",
      expected,
    );
  }

  /**
   * Waits until the bot answered, as often as `count` says, with the last answer like `expected`; answers
   * that.
   */
  async reply(at: Thread, expected: string | RegExp, count = 1): Promise<string> {
    const all = await seen(
      `${count} answers on ${at.repo}#${at.number}`,
      async () => JSON.stringify(await this.replies(at), null, 1),
      (text) =>
        (JSON.parse(text) as string[]).length >= count &&
        fits((JSON.parse(text) as string[]).at(-1) ?? "", expected),
    );
    const said = JSON.parse(all) as string[];
    if (said.length !== count) throw new Error(`${count} answers were expected: ${all}`);
    return said.at(-1) ?? "";
  }

  /** Waits until a comment has the reaction of the bot; answers all of them in order of their names. */
  async reacted(at: Thread, commentId: number, reaction: string): Promise<string[]> {
    const read = async () => {
      const all = await this.server.reactions(at.repo, commentId);
      return all.filter((one) => one.user === this.bot.login).map((one) => one.content);
    };
    await seen(`reactions on comment ${commentId}`, async () => (await read()).join(" "), reaction);
    return (await read()).sort();
  }

  /** Waits until somebody's review of a pull request is requested. */
  async reviewAsked(number: number, login: string): Promise<void> {
    const look = async () => (await this.server.pullRequest(this.repo, number)).requestedReviewers.join(" ");
    await seen(`the request of a review of #${number}`, look, login);
  }

  /** Waits until nothing has come to a list for a second: whatever was to follow has. */
  async settled(calls: readonly unknown[]): Promise<void> {
    let [count, since] = [calls.length, performance.now()];
    while (performance.now() - since < 1_500) {
      await pause(LOOK_MS);
      if (calls.length !== count) [count, since] = [calls.length, performance.now()];
    }
  }

  /** Ids of the cells of a thread, by their cards. */
  async cellIds(at: Thread): Promise<string[]> {
    return (await this.cards(at)).map((one) => /lazarus:card:([0-9a-f-]{36})/.exec(one.body)?.[1] ?? "");
  }

  /** The id of the youngest cell of a thread, as soon as it has a card. */
  async cellId(at: Thread): Promise<string> {
    await this.card(at, "lazarus:card:");
    return (await this.cellIds(at)).at(-1) ?? "";
  }

  /** What `status CELL --json` says. */
  async status(cellId: string): Promise<Record<string, unknown>> {
    const { stdout, stderr } = await this.lazarus.cli("status", cellId, "--json");
    const [cell] = (JSON.parse(stdout || "{}") as { cells?: Record<string, unknown>[] }).cells ?? [];
    if (cell === undefined) throw new Error(`no status of ${cellId}: ${stdout}${stderr}`);
    return cell;
  }
}

/** `[#271](https://…)` is seen as `#271`. */
export function asShown(body: string): string {
  return body.replace(/\[([\w./-]*#\d+)\]\(\S+?\)/g, "$1");
}

function isCard(comment: E2eComment): boolean {
  return comment.body.startsWith("<!-- lazarus:card:");
}

function fits(text: string, expected: string | RegExp): boolean {
  return typeof expected === "string" ? text.includes(expected) : expected.test(text);
}

/** Looks again and again until what is there fits; fails with what was there last. */
export async function seen(
  what: string,
  look: () => string | Promise<string>,
  expected: string | RegExp | ((text: string) => boolean),
): Promise<string> {
  const isIt = typeof expected === "function" ? expected : (text: string) => fits(text, expected);
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const text = await look();
    if (isIt(text)) return text;
    if (performance.now() > end) {
      const wanted = typeof expected === "function" ? "something else" : String(expected);
      throw new Error(`${what}: waited ${PATIENCE_MS} ms for ${wanted}; there is:\n${text}`);
    }
    await pause(LOOK_MS);
  }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== "object" || address === null) throw new Error("no free port");
  return address.port;
}
