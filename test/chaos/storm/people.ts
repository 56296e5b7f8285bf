import type { E2eUser } from "../../e2e/servers.ts";
import { AGENT_NAMES } from "./agents.ts";
import type { Dice } from "./dice.ts";
import type { Entry, Ledger } from "./ledger.ts";
import { type CellRow, peek } from "./peek.ts";
import { amend, propose, shownHash } from "./proposers.ts";
import { requestChanges } from "./reviewers.ts";
import { MOVING_BASE, type Thread, type World } from "./world.ts";

/**
 * Comments are edited only when the forge's seconds tell it: what was touched within one may pass for
 * untouched.
 */
const EDIT_AFTER_MS = 2_200;

/** What people do, and how often. */
const ACTS = {
  ask: 14,
  summon: 12,
  several: 5,
  typo: 4,
  stranger: 4,
  talk: 4,
  stop: 6,
  tell: 4,
  team: 4,
  revive: 6,
  "bring back": 4,
  close: 7,
  destroy: 5,
  logs: 4,
  edit: 5,
  delete: 4,
  review: 5,
  "request changes": 6,
  propose: 4,
  amend: 2,
  approve: 5,
  invite: 4,
  "merge or close": 3,
  "close an issue": 2,
  "open an issue": 2,
  crowd: 1,
} as const;
/** Who is to look at a cell's work, to go on with it, or may say something there. */
const GUESTS = [
  "bot:quick",
  "bot:lazy",
  "bot:slow observer",
  "bot:breaks executor",
  "@reader executor",
  "@reader none",
];
/** What makes new cells: people wait with it while so many runs are in line, or the storm would never rest. */
const MAKES_CELLS: readonly string[] = ["summon", "several", "team", "propose", "crowd"];
const MOST_IN_LINE = 30;

export type Act = keyof typeof ACTS | "stay" | "stay elsewhere" | "flood" | "overrun";

/** People of a storm: what they do next is chosen by the seed, whom it concerns by what there is. */
export class People {
  readonly tally = new Map<string, number>();
  readonly #world: World;
  readonly #dice: Dice;
  readonly #ledger: Ledger;
  #isStopped = false;
  #wish: Act | null = null;

  constructor(world: World, ledger: Ledger, dice: Dice) {
    this.#world = world;
    this.#ledger = ledger;
    this.#dice = dice;
  }

  /** The next thing they do. */
  wish(act: Act | null): void {
    if (act !== null) this.#wish = act;
  }

  /** Acts again and again until stopped. A forge that refuses something is counted. */
  async live(gapMs: () => number): Promise<void> {
    while (!this.#isStopped) {
      const next = this.#dice.weighted(ACTS);
      const act = this.#wish ?? (MAKES_CELLS.includes(next) && this.#isLineLong() ? "ask" : next);
      this.#wish = null;
      await this.act(act).catch((error: unknown) => {
        this.#count(`refused by the forge: ${String(error).slice(0, 80)}`);
      });
      const end = performance.now() + gapMs();
      while (performance.now() < end && this.#wish === null && !this.#isStopped)
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  stop(): void {
    this.#isStopped = true;
  }

  #isLineLong(): boolean {
    const [line] = peek(this.#world.dataDir, (ask) =>
      ask<{ n: number }>("SELECT count(*) AS n FROM runs WHERE state = 'waiting'"),
    ) ?? [{ n: 0 }];
    return (line?.n ?? 0) > MOST_IN_LINE;
  }

  async act(act: Act): Promise<void> {
    const { people } = this.#world;
    const writer = this.#dice.pick([people.dev, people.kim]);
    switch (act) {
      case "ask":
        return this.#type(
          writer,
          this.#anyThread(),
          `/lazarus ${this.#dice.pick(["status", "why", "help", "help summon"])}`,
        );
      case "summon":
        return this.#summon(
          writer,
          this.#dice.pick(["quick", "quick", "quick", "lazy", "crash", "slow", "breaks"]),
        );
      case "team":
        return this.#type(
          writer,
          this.#issue(),
          `/lazarus team ${this.#dice.pick(["quick+slow", "breaks+quick", "lazy+quick+slow", "quick+crash+slow"])}`,
        );
      case "stay":
      case "flood":
      case "overrun":
        return this.#summon(writer, act);
      case "stay elsewhere":
        return this.#type(writer, this.#issue(), `/lazarus summon stay --base ${MOVING_BASE}`);
      case "crowd":
        for (let n = 0; n < 5; n++)
          await this.#summon(this.#dice.pick([people.dev, people.kim, people.lead]), "slow");
        return;
      case "several":
        return this.#several(writer);
      case "typo":
        return this.#type(
          writer,
          this.#anyThread(),
          this.#dice.pick([
            "/lazarus sumon quick",
            "/lazarus summon quik",
            "/lazarus stats",
            "/lazarus close zzzz",
          ]),
        );
      case "stranger":
        return this.#type(
          people.reader,
          this.#anyThread(),
          this.#dice.pick(["/lazarus summon quick", "/lazarus stop", "/lazarus destroy --force"]),
        );
      case "talk":
        return this.#type(
          writer,
          this.#anyThread(),
          this.#dice.pick([
            "Looks good to me.",
            "> /lazarus stop\n\nNo, let it work.",
            "```\n/lazarus destroy --force\n```",
            "Use `/lazarus help`.",
          ]),
          { isTalk: true },
        );
      case "tell": {
        const words = `word ${this.#dice.between(1, 1_000_000)}`;
        const now = this.#dice.chance(0.3) ? " --now" : "";
        return this.#onCell(writer, ["active", "idle"], (id) => `/lazarus tell ${id}${now} ${words}`);
      }
      case "stop":
        return this.#onCell(writer, ["active", "proposed"], (id) => `/lazarus stop ${id}`);
      case "revive":
        return this.#onCell(
          writer,
          ["idle", "archived"],
          (id) => `/lazarus revive ${id}${this.#dice.chance(0.3) ? " quick" : ""}`,
        );
      case "bring back":
        return this.#onCell(people.lead, ["archived"], (id) => `/lazarus revive ${id} quick`);
      case "close":
        return this.#onCell(
          people.lead,
          ["idle", "active"],
          (id) => `/lazarus close ${id}${this.#dice.chance(0.2) ? " --discard" : ""}`,
        );
      case "destroy":
        return this.#onCell(
          people.lead,
          ["archived", "idle", "active"],
          (id) => `/lazarus destroy ${id}${this.#dice.chance(0.7) ? " --force" : ""}`,
        );
      case "logs":
        return this.#onCell(writer, ["active", "idle"], (id) => `/lazarus logs ${id} --tail 5`);
      case "edit":
        return this.#edit();
      case "delete":
        return this.#delete();
      case "review":
        return this.#review();
      case "request changes":
        return this.#requestChanges();
      case "propose":
        await propose(this.#doing);
        return this.#count("proposal filed");
      case "amend":
        return this.#count((await amend(this.#doing)) ? "proposal edited" : "no proposal to edit");
      case "approve":
        return this.#approve();
      case "invite":
        return this.#onCell(
          people.lead,
          ["idle", "active"],
          (id) => `/lazarus invite ${id} ${this.#dice.pick(GUESTS)}`,
        );
      case "merge or close":
        return this.#mergeOrClose();
      case "close an issue":
        return this.#closeIssue();
      case "open an issue":
        return this.#openIssue(writer);
      default:
        return act satisfies never;
    }
  }

  /**
   * The last round: half of what is idle is closed, some of what is archived destroyed; at most so many
   * cells.
   */
  async tidyUp(most: number): Promise<void> {
    const { lead } = this.#world.people;
    let left = most;
    for (const cell of this.#cells(["idle", "archived"])) {
      const verb = cell.state === "idle" ? "close" : "destroy";
      if (left === 0 || !this.#dice.chance(verb === "close" ? 0.6 : 0.25)) continue;
      left--;
      await this.#say(lead, cell, `/lazarus ${verb} ${cell.id.slice(0, 8)}`);
    }
  }

  async #type(by: E2eUser, at: Thread, text: string, how: { isTalk?: boolean } = {}): Promise<void> {
    const { id } = await this.#world.server.comment(by, at.repo, { number: at.number, body: text });
    const entry = this.#ledger.add({ source: "comment", id, ...at, by: by.login, text }, how);
    for (const { verb } of entry.commands) this.#count(verb);
    if (entry.commands.length === 0) this.#count("talk");
  }

  #summon(by: E2eUser, agent: string): Promise<void> {
    return this.#type(by, this.#issue(), `/lazarus summon ${agent}`);
  }

  async #several(by: E2eUser): Promise<void> {
    const agent = this.#dice.pick(AGENT_NAMES.slice(0, 3));
    const lines = this.#dice.pick([
      ["/lazarus status", "/lazarus help", "/lazarus why"],
      [`/lazarus summon ${agent}`, "/lazarus status"],
      ["Two of them:", `/lazarus summon ${agent}`, "/lazarus summon lazy", "/lazarus sttus"],
    ]);
    await this.#type(by, this.#issue(), lines.join("\n"));
  }

  async #onCell(by: E2eUser, states: readonly string[], text: (id: string) => string): Promise<void> {
    const found = this.#cells(states);
    // The first of the states is what is looked for; the others will do.
    const wanted = found.filter((cell) => cell.state === states[0]);
    const pool = wanted.length > 0 ? wanted : found;
    if (pool.length === 0) return this.#type(by, this.#anyThread(), text("").replace(/ {2}/, " ").trim());
    const cell = this.#dice.pick(pool);
    await this.#say(by, cell, text(cell.id.slice(0, 8)));
  }

  #say(by: E2eUser, cell: CellRow, text: string): Promise<void> {
    return this.#type(by, { repo: cell.full_name, number: cell.number }, text);
  }

  async #edit(): Promise<void> {
    const entry = this.#recent(EDIT_AFTER_MS);
    if (entry === null) return;
    const text = this.#dice.pick(["/lazarus summon quick", "/lazarus help", "Never mind."]);
    entry.editedTo = text;
    await this.#world.server.editComment(this.#userOf(entry), entry.repo, { id: entry.id, body: text });
    this.#count("edited");
  }

  async #delete(): Promise<void> {
    const entry = this.#recent(0);
    if (entry === null) return;
    entry.isDeleted = true;
    await this.#world.server.deleteComment(this.#userOf(entry), entry.repo, entry.id);
    this.#count("deleted");
  }

  /** Reviews come from people who did not open the pull request: the bot did. */
  async #review(): Promise<void> {
    const pulls = this.#cells(["active", "idle", "closing", "archived"]).filter(
      (cell) => cell.pull_request !== null,
    );
    if (pulls.length === 0) return this.act("summon");
    const cell = this.#dice.pick(pulls);
    const { kim } = this.#world.people;
    const text = `/lazarus ${this.#dice.pick(["why", "help", "status"])}\nThanks.`;
    const path = `/repos/${cell.full_name}/pulls/${cell.pull_request}/reviews`;
    const answer = await this.#world.server.api(kim, "POST", path, { event: "COMMENT", body: text });
    if (answer.status !== 200) throw new Error(`review ${answer.status}`);
    const id = Number((answer.json as { id: unknown }).id);
    const at = { repo: cell.full_name, number: Number(cell.pull_request) };
    this.#ledger.add({ source: "review", id, ...at, by: kim.login, text });
    this.#count("review");
  }

  /** Where there is a draft that nobody works on, there. */
  async #requestChanges(): Promise<void> {
    const drafts = this.#cells(["idle", "active"]).filter((cell) => cell.pull_request !== null);
    const idle = drafts.filter((cell) => cell.state === "idle");
    if (drafts.length === 0) return this.act("summon");
    const cell = this.#dice.pick(idle.length > 0 ? idle : drafts);
    this.#count(
      (await requestChanges(this.#doing, cell)) ? "changes requested" : "changes not to be requested",
    );
  }

  /** A director approves, or declines, what a plan shows. */
  async #approve(): Promise<void> {
    const plans = this.#cells(["proposed"]).filter((cell) => cell.waits_for_approval === 1);
    if (plans.length === 0) return this.act("propose");
    const cell = this.#dice.pick(plans);
    const at = { repo: cell.full_name, number: cell.number };
    const hash = (await shownHash(this.#world, at)) ?? "";
    const word = this.#dice.chance(0.15) ? "decline" : `approve ${hash}`;
    return this.#type(this.#world.people.lead, at, `/lazarus ${word}`.trim());
  }

  async #mergeOrClose(): Promise<void> {
    const pulls = this.#cells(["idle", "archived"]).filter((cell) => cell.pull_request !== null);
    if (pulls.length === 0) return;
    const cell = this.#dice.pick(pulls);
    const path = `/repos/${cell.full_name}/pulls/${cell.pull_request}`;
    const { server, people } = this.#world;
    const isMerge = this.#dice.chance(0.4);
    if (isMerge) await server.api(people.lead, "PATCH", path, { title: "Made" });
    const answer = isMerge
      ? await server.api(people.lead, "POST", `${path}/merge`, { Do: "merge" })
      : await server.api(people.lead, "PATCH", path, { state: "closed" });
    this.#count(
      answer.status < 300 ? (isMerge ? "merged" : "pull request closed") : `merge answered ${answer.status}`,
    );
  }

  async #closeIssue(): Promise<void> {
    const { server, people } = this.#world;
    const { repo, number } = this.#issue();
    await server.api(people.lead, "PATCH", `/repos/${repo}/issues/${number}`, { state: "closed" });
    await server.api(people.lead, "PATCH", `/repos/${repo}/issues/${number}`, { state: "open" });
    this.#count("issue closed and opened");
  }

  async #openIssue(by: E2eUser): Promise<void> {
    const { server, threads } = this.#world;
    const repo = this.#issue().repo;
    const number = await server.openIssue(by, repo, {
      title: "One more part",
      body: "Please make this one too.",
    });
    threads.push({ repo, number });
    this.#count("issue opened");
  }

  /** A comment of people's that was not touched yet, at least so old. */
  #recent(olderThanMs: number): Entry | null {
    const fresh = this.#ledger.entries
      .slice(-6)
      .filter((one) => one.source === "comment" && one.editedTo === null && !one.isDeleted)
      .filter((one) => Date.now() - one.at >= olderThanMs);
    return fresh.length === 0 ? null : this.#dice.pick(fresh);
  }

  #userOf(entry: Entry): E2eUser {
    const user = Object.values(this.#world.people).find((one) => one.login === entry.by);
    if (user === undefined) throw new Error(`nobody is ${entry.by}`);
    return user;
  }

  #issue(): Thread {
    return this.#dice.pick(this.#world.threads);
  }

  /** An issue, or now and then a pull request of a cell. */
  #anyThread(): Thread {
    const pulls = this.#dice.chance(0.15) ? this.#cells(["active", "idle", "archived"]) : [];
    const one = pulls.find((cell) => cell.pull_request !== null);
    return one === undefined ? this.#issue() : { repo: one.full_name, number: Number(one.pull_request) };
  }

  #cells(states: readonly string[]): CellRow[] {
    const rows = peek(this.#world.dataDir, (ask) => ask<CellRow>("SELECT * FROM cells ORDER BY seq")) ?? [];
    return rows.filter((row) => states.includes(row.state));
  }

  get #doing() {
    return { world: this.#world, ledger: this.#ledger, dice: this.#dice };
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }
}
