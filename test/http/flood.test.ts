import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Stage } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";

const CONNECTIONS = 200;
const BODY_BYTES = 4 * 1024 ** 2;
const MOST_GROWTH_MB = 150;

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
});
afterAll(() => stage?.strike());

/** Of `serve`, in MB: what it holds now, and the most that it ever held. */
function memory(): { now: number; peak: number } {
  const status = readFileSync(`/proc/${stage.lazarus.pid}/status`, "utf8");
  const of = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
  return { now: of("VmRSS"), peak: of("VmHWM") };
}

it.each([
  ["no signature", ""],
  ["a signature made without the secret", `X-Hub-Signature-256: sha256=${"0".repeat(64)}\r\n`],
])(
  "200 large bodies at once with %s take less than 150 MB, and others come through",
  async (_, signature) => {
    const { hostname, port } = new URL(stage.lazarus.url);
    const body = Buffer.alloc(BODY_BYTES - 1, 0x20);
    const before = memory();
    const sockets: Socket[] = [];
    let sent = 0;
    for (let at = 0; at < CONNECTIONS; at++) {
      const socket = connect(Number(port), hostname);
      sockets.push(socket);
      const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.on("error", () => {}).resume();
      socket.write(
        `POST /webhooks/gitea HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${signature}Content-Length: ${BODY_BYTES}\r\n\r\n`,
      );
      // All but the last byte, so that whoever keeps a body keeps it now.
      const written = new Promise<void>((resolve) => socket.write(body, () => resolve()));
      void Promise.race([written, gone]).then(() => sent++);
    }
    await until("all have sent", () => sent === CONNECTIONS);
    const issue = await stage.openIssue("Something else meanwhile");
    await stage.type(stage.dev, issue, "/lazarus help");
    await stage.reply(issue, "/lazarus summon");
    expect(memory().peak - before.now).toBeLessThan(MOST_GROWTH_MB);
    for (const socket of sockets) socket.destroy();
  },
);
