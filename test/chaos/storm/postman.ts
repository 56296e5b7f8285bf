import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import type { Dice } from "./dice.ts";

const TIMEOUT_MS = 5_000;

interface Letter {
  readonly headers: Record<string, string>;
  readonly body: string;
  isAccepted: boolean;
}

/** What the postman does to a delivery. */
const WAYS = { "brought at once": 10, dropped: 2, doubled: 2, "late and shuffled": 5 } as const;

/**
 * Stands between the forge's hooks and Lazarus: deliveries are dropped, doubled, shuffled, late; what comes
 * while Lazarus is down is lost, as with real servers, which never repeat one. `bringAll` brings what was
 * never accepted, as a catch-up would notice it.
 */
export class Postman {
  readonly tally = new Map<string, number>();
  isCalm = false;
  readonly #letters: Letter[] = [];
  readonly #server: Server;
  readonly #to: string;
  readonly #dice: Dice;
  #underway = 0;

  private constructor(server: Server, to: string, dice: Dice) {
    this.#server = server;
    this.#to = to;
    this.#dice = dice;
  }

  /** `to` is Lazarus' address for deliveries. */
  static async open(to: string, dice: Dice): Promise<Postman> {
    const server = createServer();
    const postman = new Postman(server, to, dice);
    server.on("request", async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      response.writeHead(200).end("{}");
      postman.#take({
        headers: kept(request.headers),
        body: Buffer.concat(parts).toString(),
        isAccepted: false,
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return postman;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** How many were never accepted. */
  get lost(): number {
    return this.#letters.filter((one) => !one.isAccepted).length;
  }

  get all(): number {
    return this.#letters.length;
  }

  get isIdle(): boolean {
    return this.#underway === 0;
  }

  /** Brings each delivery that was never accepted, once more. */
  async bringAll(): Promise<void> {
    for (const letter of this.#letters.filter((one) => !one.isAccepted)) await this.#bring(letter);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #take(letter: Letter): void {
    this.#letters.push(letter);
    const way = this.isCalm ? "brought at once" : this.#dice.weighted(WAYS);
    this.#count(way);
    if (way === "dropped") return;
    void this.#bring(letter, way === "late and shuffled" ? this.#dice.between(50, 2_000) : 0);
    if (way === "doubled") void this.#bring(letter, this.#dice.between(0, 1_500));
  }

  async #bring(letter: Letter, afterMs = 0): Promise<void> {
    this.#underway++;
    try {
      if (afterMs > 0) await pause(afterMs);
      const { headers, body } = letter;
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const answer = await fetch(this.#to, { method: "POST", headers, body, signal });
      await answer.text();
      if (answer.status === 202) letter.isAccepted = true;
      else this.#count(`answered ${answer.status}`);
    } catch {
      this.#count("nobody at home");
    } finally {
      this.#underway--;
    }
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
  }
}

/** What signs and names a delivery. */
function kept(headers: IncomingHttpHeaders): Record<string, string> {
  const names = Object.keys(headers).filter((name) => name.startsWith("x-") || name === "content-type");
  return Object.fromEntries(names.map((name) => [name, String(headers[name])]));
}
