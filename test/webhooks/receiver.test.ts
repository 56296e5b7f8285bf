import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { gzipSync } from "node:zlib";
import express from "express";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isServed } from "../../src/commands/rights.ts";
import { issueHash, sha256 } from "../../src/hash.ts";
import type { Log } from "../../src/log.ts";
import { createBodyBudget } from "../../src/webhooks/body-budget.ts";
import { parseText } from "../../src/webhooks/read-text.ts";
import { createReceiver, MOST_BODY_BYTES, type ReceiverDeps } from "../../src/webhooks/receiver.ts";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";
import { RECORDED_SECRET, type Recorded, recordedDeliveries, recordedDelivery } from "../fakes/recorded.ts";
import { until } from "../fakes/until.ts";

let rig: ControlRig;
let server: Server;
let said: { facts: object; message: string }[];
let botId: number | null;

async function serve(more: Partial<ReceiverDeps> = {}): Promise<void> {
  const log: Log = {
    info: (facts, message) => void said.push({ facts, message }),
    warn() {},
    error: (facts, message) => void said.push({ facts, message }),
    debug() {},
  };
  const web = express();
  web.use(
    createReceiver({
      secrets: [{ pattern: "*", secret: RECORDED_SECRET }],
      db: rig.db,
      queue: rig.queue,
      log,
      isServed: (name) => isServed(["acme/*"], name),
      holdsCommand: (text) => parseText(text).length > 0,
      botId: () => botId,
      heard: () => {},
      isOfInterest: () => true,
      unlooked: { note() {} },
      ...more,
    }),
  );
  server = createServer(web);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
}

beforeEach(async () => {
  rig = createControl();
  said = [];
  botId = null;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rig.remove();
});

const port = () => (server.address() as AddressInfo).port;
const url = () => `http://127.0.0.1:${port()}/webhooks/gitea`;
const sign = (body: string | Buffer, secret = RECORDED_SECRET) =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
const jobs = () => rig.queue.list({ limit: 10_000 });

interface Told {
  readonly status: number;
  readonly text: string;
}

/** Sends exactly these bytes and headers. */
function post(body: string | Buffer, headers: Record<string, string>): Promise<Told> {
  return new Promise((resolve, reject) => {
    const sent = request(url(), { method: "POST", headers, agent: false }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function deliver(one: Recorded, more: Record<string, string> = {}): Promise<Told> {
  const { Host: _host, "Content-Length": _length, ...headers } = one.headers;
  return post(one.body, { ...headers, ...more });
}

/** A delivery of our own making, signed. */
const signed = (body: string | Buffer, more: Record<string, string> = {}) =>
  post(body, {
    "Content-Type": "application/json",
    "X-Gitea-Event-Type": "issue_comment",
    "X-Hub-Signature-256": sign(body),
    ...more,
  });
const COMMENT = recordedDelivery("comment-created-api");

describe("recorded deliveries", () => {
  it("all verify as they came, and leave a tick where something follows from them", async () => {
    await serve();
    const outcomes = { accepted: 0, ignored: 0 };
    for (const one of recordedDeliveries()) {
      const before = jobs().length;
      const { status, text } = await deliver(one);
      expect(status, `${one.server} ${one.name}: ${text}`).toBe(202);
      const isAccepted = text === '{"accepted":true}';
      outcomes[isAccepted ? "accepted" : "ignored"]++;
      // Ticks of one thread that wait are folded into one.
      if (!isAccepted) expect(jobs()).toHaveLength(before);
    }
    expect(outcomes).toEqual({ accepted: 46, ignored: 41 });
    expect(jobs().every((job) => job.kind === "thread")).toBe(true);
    expect(new Set(jobs().map((job) => job.lane)).size).toBe(jobs().length);
  });

  it("leave hashes of what a new comment said, and no word of it", async () => {
    await serve();
    await deliver(COMMENT);
    const { comment, issue, repository } = JSON.parse(COMMENT.body);
    expect(rig.payloads("thread")).toEqual([
      {
        repository: { id: repository.id, fullName: "acme/app" },
        number: issue.number,
        delivered: {
          [comment.id]: {
            body: sha256(comment.body),
            hadCommand: parseText(comment.body).length > 0,
            issue: issueHash(issue.title, issue.body),
          },
        },
      },
    ]);
    const [row] = rig.db.sql.prepare("SELECT * FROM jobs").all();
    expect(JSON.stringify(row)).not.toContain(issue.title);
  });

  it("of one thread that waits keep the hashes of all", async () => {
    await serve();
    const both = [COMMENT, recordedDelivery("comment-created-web-crlf")];
    for (const one of both) await deliver(one);
    const ids = both.map((one) => String(JSON.parse(one.body).comment.id));
    const delivered = Object.assign({}, ...rig.payloads("thread").map((one) => one.delivered));
    expect(Object.keys(delivered).sort()).toEqual(ids.sort());
  });
});

describe("401", () => {
  const good = sign(COMMENT.body);
  it.each([
    ["no signature", ""],
    ["an empty digest, as a hook without secret sends it", "sha256="],
    ["another secret", sign(COMMENT.body, "another-secret")],
    ["another body", sign(`${COMMENT.body} `)],
    ["sha1 in its place", COMMENT.headers["X-Hub-Signature"] ?? ""],
    ["capital letters", good.replace(/[0-9a-f]{64}$/, (hex) => hex.toUpperCase())],
    ["a digest cut short", good.slice(0, -1)],
    ["a longer digest", `${good}0`],
    ["no name of the algorithm", good.slice("sha256=".length)],
    ["two digests", `${good}, ${good}`],
  ])("is the answer to %s, and nothing is stored", async (_what, signature) => {
    await serve();
    const { "X-Hub-Signature-256": _signed, ...headers } = COMMENT.headers;
    const told = await deliver(
      { ...COMMENT, headers },
      signature === "" ? {} : { "X-Hub-Signature-256": signature },
    );
    expect(told.status).toBe(401);
    expect(JSON.parse(told.text)).toEqual({ error: expect.stringContaining("X-Hub-Signature-256") });
    expect(told.text).not.toContain("\n");
    expect(jobs()).toEqual([]);
  });

  it("is the answer to other headers that would fit", async () => {
    await serve();
    const { "X-Hub-Signature-256": _signed, ...headers } = COMMENT.headers;
    expect(headers["X-Gitea-Signature"]).toMatch(/^[0-9a-f]{64}$/);
    expect((await deliver({ ...COMMENT, headers })).status).toBe(401);
  });

  it("is the answer to nothing, even rightly signed", async () => {
    await serve();
    expect((await signed("")).status).toBe(401);
  });

  it("is not the answer to the second secret while secrets rotate", async () => {
    const both = ["the-new-secret", RECORDED_SECRET];
    await serve({ secrets: both.map((secret) => ({ pattern: "*", secret })) });
    expect((await deliver(COMMENT)).status).toBe(202);
    const withNew = { "X-Hub-Signature-256": sign(COMMENT.body, "the-new-secret") };
    expect((await deliver(COMMENT, withNew)).status).toBe(202);
    const withOther = { "X-Hub-Signature-256": sign(COMMENT.body, "a-third-secret") };
    expect((await deliver(COMMENT, withOther)).status).toBe(401);
  });
});

describe("a secret for some repositories", () => {
  const secrets = [
    { pattern: "acme/other", secret: "the-secret-of-other" },
    { pattern: "acme/*", secret: "the-secret-of-acme" },
    { pattern: "dev/*", secret: "the-secret-of-dev" },
  ];
  const by = (secret: string) => ({ "X-Hub-Signature-256": sign(COMMENT.body, secret) });

  it("signs for those that its pattern matches, and for no other", async () => {
    await serve({ secrets, isServed: () => true });
    expect((await deliver(COMMENT, by("the-secret-of-acme"))).status).toBe(202);
    for (const other of ["the-secret-of-other", "the-secret-of-dev"])
      expect((await deliver(COMMENT, by(other))).status).toBe(401);
    expect(jobs()).toHaveLength(1);
  });

  it("does not touch the ticks of another by naming its id", async () => {
    await serve({ secrets, isServed: () => true });
    expect((await deliver(COMMENT, by("the-secret-of-acme"))).status).toBe(202);
    const forged = JSON.parse(COMMENT.body);
    forged.repository.full_name = "acme/other";
    forged.comment.body = "/lazarus destroy --force";
    const body = JSON.stringify(forged);
    const signature = { "X-Hub-Signature-256": sign(body, "the-secret-of-other") };
    expect((await deliver({ ...COMMENT, body }, signature)).status).toBe(202);
    const [first, second] = rig.payloads("thread");
    expect(first?.repository.fullName).not.toBe("acme/other");
    expect(Object.values(first?.delivered ?? {})).toEqual([
      expect.not.objectContaining({ isDisputed: true }),
    ]);
    expect(second?.repository).toEqual({ id: first?.repository.id, fullName: "acme/other" });
  });
});

describe("bodies of the wrong kind", () => {
  it.each([
    "application/x-www-form-urlencoded",
    "text/plain",
    "application/jsonp",
    "multipart/form-data; boundary=x",
    "",
  ])("are 415: %s", async (type) => {
    await serve();
    const { "Content-Type": _type, ...headers } = COMMENT.headers;
    const told = await deliver({ ...COMMENT, headers }, type === "" ? {} : { "Content-Type": type });
    expect(told.status).toBe(415);
    expect(jobs()).toEqual([]);
  });

  it("are taken with a charset in the type, in any case", async () => {
    await serve();
    expect((await deliver(COMMENT, { "Content-Type": "Application/JSON; charset=utf-8" })).status).toBe(202);
  });

  it("are 415 when compressed", async () => {
    await serve();
    const body = gzipSync(COMMENT.body);
    expect((await signed(body, { "Content-Encoding": "gzip" })).status).toBe(415);
    expect(jobs()).toEqual([]);
  });

  it.each(["{", "", " ", "{'action': 1}", '{"a":1}}', "\ufeff{}", "undefined"].filter((text) => text !== ""))(
    "are 400 when they are signed and no JSON: %j",
    async (body) => {
      await serve();
      const told = await signed(body);
      expect([told.status, told.text]).toEqual([400, '{"error":"the body is not JSON"}']);
    },
  );
});

describe("bodies that are too large", () => {
  /** Whoever sends none is not listened to at all. */
  const SIGNED = `sha256=${"0".repeat(64)}`;
  const filler = (bytes: number) => Buffer.alloc(bytes, 0x20);

  it("are 400 where they are no UTF-8, though rightly signed", async () => {
    await serve();
    const body = Buffer.concat([Buffer.from('{"action":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    expect(await signed(body)).toMatchObject({ status: 400, text: expect.stringContaining("UTF-8") });
  });

  it("are 413, one byte over 5 MiB and not before", async () => {
    await serve();
    expect((await signed(filler(MOST_BODY_BYTES))).status).toBe(400);
    expect((await signed(filler(MOST_BODY_BYTES + 1))).status).toBe(413);
  });

  it("are 413 by what they announce, before they come", async () => {
    await serve();
    const status = await new Promise<number>((resolve, reject) => {
      const headers = {
        ...{ "Content-Type": "application/json", "X-Hub-Signature-256": SIGNED },
        "Content-Length": String(100 * 1024 * 1024),
      };
      const sent = request(url(), { method: "POST", headers }, (answer: IncomingMessage) => {
        resolve(answer.statusCode ?? 0);
        sent.destroy();
      });
      sent.on("error", reject);
      sent.write("{");
    });
    expect(status).toBe(413);
  });

  it("are 413 when they come in chunks that announce nothing", async () => {
    await serve();
    const status = await new Promise<number>((resolve) => {
      const headers = {
        ...{ "Content-Type": "application/json", "X-Hub-Signature-256": SIGNED },
        "Transfer-Encoding": "chunked",
      };
      const sent = request(url(), { method: "POST", headers }, (answer: IncomingMessage) => {
        resolve(answer.statusCode ?? 0);
        sent.destroy();
      });
      sent.on("error", () => {});
      for (let megabyte = 0; megabyte < 7; megabyte++) sent.write(filler(1024 * 1024));
    });
    expect(status).toBe(413);
    expect(jobs()).toEqual([]);
  });

  /**
   * Writes all of a request whatever comes back, as clients do that listen when they are done; answers what
   * it could read, and how it ended.
   */
  const pour = (head: string, body: Buffer[]) =>
    new Promise<{ said: string; trouble: string | null }>((resolve) => {
      const socket = connect(port(), "127.0.0.1");
      let said = "";
      let trouble: string | null = null;
      socket.on("error", (error: NodeJS.ErrnoException) => {
        trouble = error.code ?? error.message;
      });
      socket.on("close", () => resolve({ said, trouble }));
      socket.write(
        `POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: ${SIGNED}\r\n${head}\r\n\r\n`,
      );
      for (const part of body) socket.write(part);
      // Reads only now: an answer that was lost by a reset is not seen.
      socket.write("", () => {
        socket.on("data", (chunk: Buffer) => {
          said += chunk.toString();
        });
      });
    });
  const MEGABYTE = 1024 * 1024;

  it.each([
    ["announced", `Content-Length: ${24 * MEGABYTE}`, Array.from({ length: 24 }, () => filler(MEGABYTE))],
    [
      "in chunks",
      "Transfer-Encoding: chunked",
      [
        ...Array.from({ length: 24 }, () =>
          Buffer.concat([Buffer.from(`${MEGABYTE.toString(16)}\r\n`), filler(MEGABYTE), Buffer.from("\r\n")]),
        ),
        Buffer.from("0\r\n\r\n"),
      ],
    ],
    ["announced, and one byte over", `Content-Length: ${MOST_BODY_BYTES + 1}`, [filler(MOST_BODY_BYTES + 1)]],
  ])("get an answer that can be read, every time: %s", async (_, head, body) => {
    await serve();
    for (let time = 0; time < 20; time++) {
      const { said, trouble } = await pour(head, body);
      expect([time, trouble]).toEqual([time, null]);
      expect(said).toMatch(/^HTTP\/1.1 413 /);
      expect(said).toMatch(/\{"error":"the body is larger than 5 MiB"\}$/);
      expect(said.match(/^Connection: close\r$/gm)).toHaveLength(1);
    }
    expect(jobs()).toEqual([]);
  });

  /** Sends the first bytes of a large body with some signature, and holds the rest back. */
  const hold = (bytes: number) => {
    const socket = connect(port(), "127.0.0.1");
    const head = `Content-Type: application/json\r\nX-Hub-Signature-256: ${SIGNED}\r\nContent-Length: 5000000`;
    let said = "";
    socket.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    socket.on("error", () => {});
    socket.write(`POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`);
    socket.write(filler(bytes));
    return { socket, said: () => said };
  };

  it("are 503 while others have taken all room, and small ones still come through", async () => {
    const budget = createBodyBudget({ each: 64 * 1024, shared: 2 * MEGABYTE });
    await serve({ budget });
    const room = () => {
      const probe = budget.open();
      const free = probe.take(64 * 1024 + MEGABYTE);
      probe.close();
      return free;
    };
    const first = hold(1.5 * MEGABYTE);
    await until("its bytes are held", () => !room());
    const second = hold(1.5 * MEGABYTE);
    await until("it hears that there is no room", () => second.said().includes("}"));
    expect(second.said()).toMatch(/^HTTP\/1.1 503 [\s\S]*^Retry-After: 10\r$/m);
    expect((await deliver(COMMENT)).status).toBe(202);
    expect((await signed(filler(MEGABYTE))).status).toBe(503);
    first.socket.destroy();
    await until("its room is free again", room);
    expect((await signed(filler(MEGABYTE))).status).toBe(400);
    second.socket.destroy();
  });

  it("are 401 at once where nothing is signed, before any of them has come", async () => {
    await serve();
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { "Content-Type": "application/json", "Content-Length": String(4 * 1024 * 1024) };
      const sent = request(url(), { method: "POST", headers }, (answer: IncomingMessage) => {
        resolve(answer.statusCode ?? 0);
        sent.destroy();
      });
      sent.on("error", reject);
      sent.flushHeaders();
    });
    expect(status).toBe(401);
  });

  it("are cut off in the end, however much is sent", async () => {
    await serve();
    const ended = await new Promise<boolean>((resolve) => {
      const socket = connect(port(), "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => resolve(true));
      socket.resume();
      socket.write(
        "POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n",
      );
      const more = () => {
        while (!socket.destroyed && socket.write(filler(MEGABYTE)));
        socket.once("drain", more);
      };
      more();
    });
    expect(ended).toBe(true);
  });

  it("that lie about their length are read as far as they said, and refused", async () => {
    await serve();
    const body = COMMENT.body;
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port(), "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on("close", () => resolve(text));
      socket.on("error", () => {});
      const head = ["POST /webhooks/gitea HTTP/1.1", "Host: x", "Content-Type: application/json"];
      socket.write(
        `${head.join("\r\n")}\r\nX-Hub-Signature-256: ${sign(body)}\r\nContent-Length: 10\r\n\r\n${body}`,
      );
    });
    expect(answer).toMatch(/^HTTP\/1.1 40[01] /);
    expect(jobs()).toEqual([]);
  });

  it("do not crash it, however hostile they are", async () => {
    await serve();
    const deep = `${"[".repeat(2_600_000)}${"]".repeat(2_600_000)}`;
    const good = JSON.parse(COMMENT.body) as Record<string, unknown>;
    const texts = [
      deep,
      `{"action":${deep.slice(0, -30)}`,
      COMMENT.body.replace(/\}$/, `,"__proto__":{"isServed":true},"constructor":{"prototype":{"x":1}}}`),
      JSON.stringify({ ...good, action: "a".repeat(5_000_000) }),
      JSON.stringify({ ...good, issue: { number: 1, title: "t", body: "/lazarus help\n".repeat(330_000) } }),
      JSON.stringify({ ...good, comment: { id: 1, body: "/lazarus ' ".repeat(400_000) } }),
      JSON.stringify({ ...good, comment: { id: 1, body: `${"> ".repeat(1_000_000)}/lazarus help` } }),
      JSON.stringify({ ...good, comment: { id: 1, body: "`".repeat(3_000_000) } }),
      JSON.stringify({ ...good, comment: { id: 1, body: "<!--".repeat(1_000_000) } }),
      JSON.stringify({ ...good, repository: { id: 1e308, full_name: "acme/app" } }),
    ];
    for (const text of texts) {
      const { status } = await signed(text);
      expect([202, 400, 413], text.slice(0, 60)).toContain(status);
    }
    expect(({} as { isServed?: unknown; x?: unknown }).isServed).toBeUndefined();
    expect((await deliver(COMMENT)).status).toBe(202);
  });
});

describe("202 with a reason, and nothing stored", () => {
  const good = JSON.parse(COMMENT.body) as Record<string, unknown> & { sender: { id: number } };
  const type = { "X-Gitea-Event-Type": "issue_comment" };
  it.each([
    [
      "an event nobody knows",
      COMMENT.body,
      { "X-Gitea-Event-Type": "package" },
      "nothing follows from package",
    ],
    ["no event type at all", COMMENT.body, { "X-Gitea-Event-Type": "" }, "it names no event type"],
    [
      "a repository that is not served",
      JSON.stringify({ ...good, repository: { id: 9, full_name: "other/app" } }),
      type,
      "other/app is not served",
    ],
    [
      "a repository that only looks served",
      JSON.stringify({ ...good, repository: { id: 9, full_name: "acme/app/../../other" } }),
      type,
      "is not served",
    ],
    ["another shape", JSON.stringify({ action: "created" }), type, "not of the known shape"],
  ])("answers %s", async (_what, body, headers, reason) => {
    await serve();
    const told = await signed(body, headers);
    expect(told.status).toBe(202);
    expect(JSON.parse(told.text).ignored).toContain(reason);
    expect(said).toMatchObject([
      { message: "delivery ignored", facts: { reason: expect.stringContaining(reason) } },
    ]);
    expect(jobs()).toEqual([]);
  });

  it("answers the bot's own doings", async () => {
    botId = good.sender.id;
    await serve();
    expect((await deliver(COMMENT)).text).toContain("the bot's own doing");
    expect(jobs()).toEqual([]);
  });
});

describe("durability", () => {
  it("has the row committed when the answer arrives", async () => {
    await serve();
    const { default: Database } = await import("better-sqlite3");
    const other = new Database(`${rig.dir}/lazarus.db`, { readonly: true });
    expect((await deliver(COMMENT)).status).toBe(202);
    expect(other.prepare("SELECT count(*) AS n FROM jobs").get()).toEqual({ n: 1 });
    other.close();
  });

  it("answers many at once, each with its own row", async () => {
    await serve();
    const good = JSON.parse(COMMENT.body) as { issue: object };
    const bodies = Array.from({ length: 40 }, (_, index) =>
      JSON.stringify({ ...good, issue: { ...good.issue, number: index + 1 } }),
    );
    const answers = await Promise.all(bodies.map((body) => signed(body)));
    expect(answers.map((one) => one.status)).toEqual(bodies.map(() => 202));
    expect(jobs()).toHaveLength(40);
  });

  it("says 500, and not that it was accepted, when it cannot be stored", async () => {
    await serve();
    rig.db.sql.exec("DROP TABLE job_keys");
    const told = await deliver(COMMENT);
    expect(told).toEqual({ status: 500, text: '{"error":"the delivery could not be stored"}' });
    expect(said.at(-1)?.message).toBe("delivery could not be stored");
  });
});
