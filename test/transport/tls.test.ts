import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { loadConfig } from "../../src/config/config.ts";
import { silentLog } from "../../src/log.ts";
import { NOTHING_TO_SAY, type RunnerPort } from "../../src/protocol/runner-port.ts";
import { askRedis, connect, type PostOptions } from "../../src/transport/bullmq.ts";
import type { Post } from "../../src/transport/post.ts";
import { freePort } from "../e2e/stage.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { RedisServer } from "../scale/redis.ts";
import { controlEnd, PREFIX, runnerEnd } from "./rig.ts";

let dir: string;
let redis: RedisServer;
let tlsPort: number;

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
const openssl = (...words: string[]) => execFileSync("openssl", words, { cwd: dir, stdio: "ignore" });
const makeCa = (name: string) =>
  openssl("req", "-x509", ...KEY, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${name}`);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "lazarus-tls-"));
  makeCa("ours");
  makeCa("another");
  const names = ["-addext", "subjectAltName=IP:127.0.0.1"];
  openssl(
    "req",
    "-newkey",
    ...KEY.slice(1, 5),
    "-keyout",
    "redis.key",
    "-out",
    "redis.csr",
    "-subj",
    "/CN=r",
    ...names,
  );
  openssl(
    ...["x509", "-req", "-in", "redis.csr", "-CA", "ours.pem", "-CAkey", "ours.key", "-CAcreateserial"],
    ...["-copy_extensions", "copy", "-days", "2", "-out", "redis.pem"],
  );
  tlsPort = await freePort();
  redis = await RedisServer.start([
    ...["--tls-port", String(tlsPort), "--tls-auth-clients", "no", "--requirepass", "right"],
    ...["--tls-cert-file", join(dir, "redis.pem"), "--tls-key-file", join(dir, "redis.key")],
    ...["--tls-ca-cert-file", join(dir, "ours.pem")],
  ]);
});
afterAll(async () => {
  await redis?.remove();
  rmSync(dir, { recursive: true, force: true });
});

/** As an operator's file says it. */
function read(keys: Readonly<Record<string, unknown>>): PostOptions {
  const file = join(dir, "lazarus.yaml");
  writeFileSync(file, stringify({ data: "./data", missions: "./missions", ...keys }));
  const { queue } = loadConfig({ file, env: {}, cwd: dir, needs: ["agents"] });
  if (queue === "local") throw new Error("no Redis is named");
  return { ...queue, prefix: PREFIX, log: silentLog };
}
const address = (host = "127.0.0.1") => `rediss://${host}:${tlsPort}/0`;
const right = () => ({ queue: address(), queue_password: "right", queue_ca_file: "./ours.pem" });

const work: RunnerPort = {
  name: "r1",
  do: async () => NOTHING_TO_SAY,
  adopt() {},
  sweep: async () => {},
  inventory: () => Promise.reject(new Error("not asked")),
  readLog: async () => ({ text: "", cut: false }),
  hear: async () => false,
  close: async () => {},
};

describe("a Redis behind TLS", needs("redis-server", "openssl"), () => {
  it("carries a job there and back where its CA is the one of queue_ca_file", async () => {
    const [ours, own] = [await connect(read(right())), await connect(read(right()))];
    const end = runnerEnd("r1", own, () => work);
    const control = controlEnd("r1", ours, { report() {} });
    const job = {
      ...{ id: "a", kind: "mark" as const, key: "a", attempt: 1 },
      payload: { cellId: "c", mission: { status: "idle", members: [], history: [] } },
    };
    expect(await control.do(job, new AbortController().signal)).toEqual(NOTHING_TO_SAY);
    expect([ours.trouble(), (await askRedis(read(right()))).version]).toEqual([
      null,
      expect.stringMatching(/^\d+\./),
    ]);
    await control.close();
    await end.close(0);
    for (const one of [ours, own]) await one.close();
  });

  it.each([
    ["another CA", { queue_ca_file: "./another.pem" }, /its certificate is not trusted \(queue_ca_file\)/],
    ["no CA of ours", { queue_ca_file: undefined }, /its certificate is not trusted \(queue_ca_file\)/],
    ["another password", { queue_password: "wrong" }, /it refuses the user or the password/],
    ["no password", { queue_password: undefined }, /it wants a password/],
  ])("with %s carries nothing, and says why in words", async (_, keys, why) => {
    const options = read({ ...right(), ...keys });
    const post: Post = await connect(options);
    let isSent = false;
    const sent = () => {
      isSent = true;
    };
    post.send("{to-r1}", "a message").then(sent, () => {});
    await until("it says why", () => why.test(post.trouble() ?? ""));
    await post.close();
    expect(isSent).toBe(false);
    await expect(askRedis(options)).rejects.toThrow(why);
  });

  it.each([
    ["by another name", () => address("localhost"), /its certificate is for another name/],
    ["without TLS", () => `redis://127.0.0.1:${tlsPort}/0`, /does it want TLS \(rediss:\/\/\)\?/],
  ])("that is named %s is told so", async (_, queue, why) => {
    await expect(askRedis(read({ ...right(), queue: queue() }))).rejects.toThrow(why);
  });

  it("whose queue_ca_file cannot be read is a fault of the file", () => {
    expect(() => read({ ...right(), queue_ca_file: "./none.pem" })).toThrow(/queue_ca_file: cannot be read/);
  });
});
