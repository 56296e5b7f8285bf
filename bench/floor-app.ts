import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { silentLog } from "../src/log.ts";
import type { Queue } from "../src/queue/queue.ts";
import type { Db } from "../src/store/db.ts";
import { parseText } from "../src/webhooks/read-text.ts";
import { createReceiver } from "../src/webhooks/receiver.ts";
import { SECRET } from "./forge.ts";

/*
 * The floor of the acks: the same receiver, which reads, verifies and understands each delivery, and then
 * writes it down nowhere. A process of its own, as the server is; it ends with whoever started it.
 */

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.use(
  createReceiver({
    secrets: [{ pattern: "*", secret: SECRET }],
    db: { commitTogether: async <T>(fn: () => T) => fn() } as Db,
    queue: { put: () => "stored nowhere" } as unknown as Queue,
    log: silentLog,
    isServed: () => true,
    holdsCommand: (text) => parseText(text).length > 0,
    botId: () => 0,
    heard: () => {},
    isOfInterest: () => true,
    unlooked: { note() {} },
  }),
);
const server = createServer(app).listen(0, "127.0.0.1", () => {
  process.send?.((server.address() as AddressInfo).port);
});
process.once("disconnect", () => process.exit(0));
