import { request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type Listener, startListener } from "../../e2e/listener.ts";
import { until } from "../until.ts";
import { type StandIn, type StandInOptions, startStandIn } from "./stand-in.ts";

let standIn: StandIn | undefined;
let listener: Listener | undefined;

afterEach(async () => {
  await standIn?.stop();
  await listener?.stop();
});

async function start(options: StandInOptions = {}) {
  listener = await startListener();
  standIn = await startStandIn(options);
  const dev = standIn.people.createUser("dev");
  await standIn.people.createRepository("dev/app");
  standIn.people.createHook("dev/app", { url: listener.url, secret: "a secret" });
  const number = await standIn.people.openIssue("dev", "dev/app", { title: "an issue", body: "text" });
  const at = { repo: "dev/app", number };
  const comments = `${standIn.url}/api/v1/repos/dev/app/issues/${number}/comments`;
  const post = (text: string, path = comments) =>
    fetch(path, {
      method: "POST",
      headers: { Authorization: `token ${dev.token}` },
      body: JSON.stringify({ body: text }),
    });
  return { standIn, listener, dev, at, comments, post };
}

describe("the stand-in's faults", () => {
  it("answer in place of the work, as often as told", async () => {
    const { standIn, at, post } = await start();
    standIn.faults.add({
      match: { method: "POST", path: /comments$/ },
      times: 2,
      answer: { status: 502, html: "<html>bad gateway</html>" },
    });
    expect([(await post("one")).status, (await post("two")).status, (await post("three")).status]).toEqual([
      502, 502, 201,
    ]);
    expect(standIn.people.comments(at.repo, at.number).map((one) => one.body)).toEqual(["three"]);
    expect(standIn.count("POST", /\/comments$/)).toBe(3);
    expect(standIn.requests.map((one) => one.status)).toEqual([502, 502, 201]);
  });

  it("lose the answer after the work was done", async () => {
    const { standIn, at, post } = await start();
    const match = { path: /comments/ };
    standIn.faults.add({ match, answer: { status: 500, html: "<html></html>", afterStore: true } });
    standIn.faults.add({ match, answer: "reset-after-store" });
    standIn.faults.add({ match, answer: "half" });
    expect((await post("one")).status).toBe(500);
    await expect(post("two")).rejects.toThrow("fetch failed");
    const half = await post("three");
    expect(half.status).toBe(201);
    await expect(half.text()).rejects.toThrow("terminated");
    expect(standIn.people.comments(at.repo, at.number).map((one) => one.body)).toEqual([
      "one",
      "two",
      "three",
    ]);
  });

  it("cut, hang and delay", async () => {
    const { standIn, comments, post } = await start();
    const match = { path: /comments/ };
    standIn.faults.add({ match, answer: "reset" });
    standIn.faults.add({ match, answer: "hang" });
    standIn.faults.add({ match, answer: { delayMs: 80 } });
    await expect(post("one")).rejects.toThrow("fetch failed");
    const came = standIn.requests.length;
    const patience = new AbortController();
    const hanging = fetch(comments, { signal: patience.signal });
    await until("the request is there, and hangs", () => standIn.requests.length > came);
    patience.abort();
    await expect(hanging).rejects.toThrow("abort");
    const began = performance.now();
    expect((await post("three")).status).toBe(201);
    expect(performance.now() - began).toBeGreaterThanOrEqual(75);
    const remove = standIn.faults.add({ match, answer: "reset" });
    remove();
    expect((await post("four")).status).toBe(201);
  });

  it("hit git too", async () => {
    const { standIn } = await start();
    standIn.faults.add({ match: { path: /info\/refs/ }, answer: { status: 503 } });
    const url = `${standIn.url}/dev/app.git/info/refs?service=git-upload-pack`;
    expect((await fetch(url)).status).toBe(503);
    expect((await fetch(url)).status).toBe(200);
  });
});

describe("the stand-in's deliveries", () => {
  it("come again under a new UUID with the same text, signed again", async () => {
    const { standIn, listener } = await start();
    await standIn.deliveriesDone();
    const [first] = standIn.deliveries;
    const again = standIn.redeliver(first?.uuid ?? "");
    await standIn.deliveriesDone();
    expect(again.uuid).not.toBe(first?.uuid);
    expect(listener.received.map((one) => one.headers["x-gitea-delivery"])).toEqual([
      first?.uuid,
      again.uuid,
    ]);
    expect(new Set(listener.received.map((one) => one.headers["x-hub-signature-256"])).size).toBe(1);
    expect(again).toMatchObject({ state: "answered", answer: { status: 202 }, body: first?.body });
  });

  it("overtake each other when shuffled, and none is lost", async () => {
    const { standIn, listener, at } = await start({ shuffle: true });
    const bodies = Array.from({ length: 30 }, (_, index) => `n${index}`);
    for (const body of bodies) await standIn.people.comment("dev", at, body);
    await standIn.deliveriesDone();
    const came = listener.received
      .map((one) => (one.payload.comment as { body: string } | undefined)?.body)
      .filter((body) => body !== undefined);
    expect([...came].sort()).toEqual([...bodies].sort());
    expect(came).not.toEqual(bodies);
  });

  it("give up after their time and are never repeated", async () => {
    const { standIn, at } = await start({ deliveryTimeoutMs: 60 });
    await standIn.deliveriesDone();
    const mute = await startListener();
    mute.hold();
    standIn.people.createHook(at.repo, { url: mute.url, secret: "" });
    await standIn.people.comment("dev", at, "into the void");
    await standIn.deliveriesDone();
    expect(standIn.deliveries.at(-1)).toMatchObject({ state: "failed", answer: null });
    expect(mute.received).toHaveLength(1);
    await mute.stop();
  });
});

it("stores an API comment on a pull request, answers 500 as HTML and fires nothing, where asked for that bug", async () => {
  const { standIn, post } = await start({ bugPullRequestComment: true });
  await standIn.people.commit("dev", "dev/app", { branch: "topic", files: { "a.txt": "a\n" } });
  const wanted = { title: "WIP: topic", body: "", head: "topic", base: "main" };
  const number = await standIn.people.openPullRequest("dev", "dev/app", wanted);
  const answer = await post("lost?", `${standIn.url}/api/v1/repos/dev/app/issues/${number}/comments`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([500, "text/html; charset=utf-8"]);
  expect(standIn.people.comments("dev/app", number).map((one) => one.body)).toEqual(["lost?"]);
  expect(standIn.deliveries.map((one) => one.eventType)).not.toContain("pull_request_comment");
  await standIn.people.comment("dev", { repo: "dev/app", number }, "by hand");
  expect(standIn.deliveries.at(-1)?.eventType).toBe("pull_request_comment");
});

it("shows a thread as its readers see it", async () => {
  const { standIn, at, post, comments } = await start();
  const { id } = (await (await post("<!-- hidden -->\nHello,\r\n\r\n- world")).json()) as { id: number };
  const reactions = comments.replace(/issues\/\d+\/comments$/, `issues/comments/${id}/reactions`);
  const token = standIn.admin.token;
  await fetch(reactions, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
    body: JSON.stringify({ content: "eyes" }),
  });
  expect(standIn.exportThread(at.repo, at.number)).toBe(
    [
      "dev/app#1 · issue · open",
      "an issue",
      "",
      "@dev",
      "  text",
      "",
      "@dev",
      "  Hello,",
      "",
      "  - world",
      "  👀 root1",
      "",
    ].join("\n"),
  );
});

it("takes a chunked upload that is gzipped", async () => {
  const { standIn } = await start();
  const { gzipSync } = await import("node:zlib");
  const tip = await standIn.people.branch("dev/app", "main");
  const line = (text: string) => `${(text.length + 4).toString(16).padStart(4, "0")}${text}`;
  const body = gzipSync(`${line(`want ${tip} no-progress\n`)}0000${line("done\n")}`);
  const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const post = request(
      `${standIn.url}/dev/app.git/git-upload-pack`,
      {
        method: "POST",
        headers: { "Content-Type": "application/x-git-upload-pack-request", "Content-Encoding": "gzip" },
      },
      async (response) => {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part as Buffer);
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString("latin1") });
      },
    );
    post.on("error", reject);
    for (const byte of body) post.write(Buffer.of(byte));
    post.end();
  });
  expect(answer.status).toBe(200);
  expect(answer.text).toMatch(/^0008NAK\nPACK/);
});
