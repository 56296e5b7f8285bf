import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BucketConfig } from "../../src/config/seals.ts";
import { openBucket } from "../../src/seals/bucket.ts";
import { createBucketStore } from "../../src/seals/bucket-store.ts";
import {
  breaking,
  bytes,
  CELL,
  FILES,
  keep,
  manifestOf,
  type PlaceRig,
  sealStoreContract,
  textOf,
} from "../contracts/seal-store.contract.ts";
import { certificate } from "../fakes/certificate.ts";
import { realBucket } from "../fakes/s3/real.ts";
import { type AskedOf, BUCKET, type Fault, READER, REGION, S3StandIn, WRITER } from "../fakes/s3/stand-in.ts";
import { needs } from "../machine.ts";

const MIB = 1024 ** 2;
const MOST = 100 * MIB;

function configOf(s3: S3StandIn, more: Partial<BucketConfig> = {}): BucketConfig {
  return {
    ...{ kind: "s3", bucket: BUCKET, prefix: "lazarus/", endpoint: s3.url, region: REGION },
    ...{ isPathStyle: true, ...WRITER, ca: null, ...more },
  };
}

/** A store, and a hand that reaches past it. */
function placeOf(config: BucketConfig, stop: () => Promise<unknown>): PlaceRig {
  const hand = openBucket(config, "the bucket");
  return {
    store: (more) => createBucketStore({ config, mostBytes: 1_000, ...more }),
    overwrite: async (seal, name, text) => (await hand).put(`${seal}/${name}`, Buffer.from(text)),
    drop: async (seal, name) => (await hand).remove(`${seal}/${name}`),
    remove: async () => void (await stop()),
  };
}

const REAL = realBucket();

/** What both kinds of servers must do alike: on the one that `LAZARUS_E2E_S3` names, else on the stand-in. */
async function anyPlace(): Promise<PlaceRig & { readonly config: BucketConfig }> {
  if (REAL !== null) {
    const config = { ...REAL, prefix: `${randomUUID()}/` };
    const clear = async () => {
      const hand = await openBucket(config, "the bucket");
      for (const { path } of await hand.list("")) await hand.remove(path);
    };
    return { ...placeOf(config, clear), config };
  }
  const own = await S3StandIn.start();
  // Every list comes in pages.
  own.pageSize = 2;
  return { ...placeOf(configOf(own), () => own.stop()), config: configOf(own) };
}

sealStoreContract("a bucket", anyPlace);

/** Of three parts. */
const LARGE = { ...FILES, "cell.tar.gz": randomBytes(9 * MIB).toString("hex") };

describe("a file of more than one part", () => {
  let rig: Awaited<ReturnType<typeof anyPlace>>;
  beforeEach(async () => {
    rig = await anyPlace();
  });
  afterEach(() => rig?.remove());
  const store = () => createBucketStore({ config: rig.config, mostBytes: MOST });
  const uploads = async () => (await openBucket(rig.config, "the bucket")).uploads("");

  it("comes in parts, and goes back as it came", async () => {
    const { digest } = await keep(store(), LARGE);
    expect((await textOf(store(), digest, "cell.tar.gz")) === LARGE["cell.tar.gz"]).toBe(true);
    expect(await uploads()).toEqual([]);
  });

  it("is not there before its hash is the right one, and no part of it stays", async () => {
    const at = store();
    await at.offer(CELL, manifestOf(LARGE));
    const another = `${LARGE["cell.tar.gz"].slice(0, -1)}X`;
    await expect(at.take(CELL, "cell.tar.gz", bytes(another))).rejects.toThrow(/SHA-256 differs/);
    await expect(at.take(CELL, "cell.tar.gz", breaking())).rejects.toThrow(/the connection is gone/);
    expect((await at.offer(CELL, manifestOf(LARGE))).missing).toEqual(Object.keys(FILES));
    expect(await uploads()).toEqual([]);
  });

  it("ends the upload that a killed process left, when it comes again and when the cell goes", async () => {
    const at = store();
    const { digest } = await keep(at, LARGE);
    await at.remove(CELL, null);
    await at.offer(CELL, manifestOf(LARGE));
    const hand = await openBucket(rig.config, "the bucket");
    const leave = async () =>
      (await hand.begin(`${CELL}.${digest}/cell.tar.gz`)).part(1, randomBytes(5 * MIB));
    await leave();
    expect([...(await at.held()).keys()]).toEqual([CELL]);
    await at.take(CELL, "cell.tar.gz", bytes(LARGE["cell.tar.gz"]));
    expect(await uploads()).toEqual([]);
    await leave();
    await at.remove(CELL, null);
    expect([await uploads(), [...(await at.held())]]).toEqual([[], []]);
  });
});

let s3: S3StandIn;
beforeEach(async () => {
  s3 = await S3StandIn.start();
});
afterEach(() => s3.stop());

const store = (more: Partial<BucketConfig> = {}) =>
  createBucketStore({ config: configOf(s3, more), mostBytes: MOST });
const refusing = (what: AskedOf["what"], fault: Fault) => {
  s3.fault = (asked) => (asked.what === what ? fault : null);
};

describe("a bucket says what is wrong, and what to do", () => {
  it.each<[string, Partial<BucketConfig>, RegExp]>([
    [
      "no such bucket",
      { bucket: "another-one" },
      /there is no bucket another-one: make it, or name another one; look at seals_path_style too/,
    ],
    ["another key", { keyId: "nobody" }, /it does not know the access key \(seals_key_id\)/],
    ["another secret", { secret: "wrong" }, /the secret of the access key is wrong \(seals_secret\)/],
    ["another region", { region: "garage" }, /not of the region garage, but of us-east-1 \(seals_region\)/],
  ])("with %s", async (_, more, why) => {
    const rig = await anyPlace();
    const at = createBucketStore({ config: { ...rig.config, ...more }, mostBytes: MOST });
    const offering = at.offer(CELL, manifestOf(FILES));
    await expect(offering).rejects.toMatchObject({ code: "directory", retryable: true });
    await expect(offering).rejects.toThrow(why);
    await expect(offering).rejects.toThrow(/ in s3:\/\/.* \(seals in lazarus\.yaml\): /);
    await expect(at.probe()).rejects.toThrow(why);
    await rig.remove();
  });

  it("with a key that only reads", async () => {
    const why = /the key may not do that: let it list the bucket, and read, write and remove its objects/;
    await expect(store(READER).offer(CELL, manifestOf(FILES))).rejects.toThrow(why);
    await expect(store(READER).probe()).rejects.toThrow(why);
  });

  it.each<[string, Fault, RegExp]>([
    [
      "is full, as MinIO says it",
      { code: "XMinioStorageFull", status: 507 },
      /it is full: give it more room/,
    ],
    ["has a quota, as Ceph says it", { code: "QuotaExceeded", status: 403 }, /it is full: give it more room/],
  ])("that %s", async (_, fault, why) => {
    refusing("put", fault);
    await expect(store().offer(CELL, manifestOf(FILES))).rejects.toMatchObject({
      ...{ code: "disk-full", retryable: true, message: expect.stringMatching(why) },
    });
  });

  it("whose clock is another, which it goes by", async () => {
    s3.skewMs = 3 * 60 * 60_000;
    expect((await keep(store())).bytes).toBe(19);
    // Where the difference stays, people are told.
    refusing("list", { code: "RequestTimeTooSkewed", status: 403 });
    await expect(store().offer(CELL, manifestOf(FILES))).rejects.toThrow(
      /its clock and that of this host differ by more than 15 minutes: set the wrong one right/,
    );
  });

  it("where nobody listens, and by a name that nobody has", async () => {
    const [gone, unknown] = [store(), store({ endpoint: "http://no-such-host.invalid" })];
    await s3.stop();
    await expect(gone.probe()).rejects.toThrow(/nobody listens there \(connection refused\)/);
    await expect(unknown.probe()).rejects.toThrow(/its name is not known/);
    await s3.listen(0);
  });

  it("that ends connections, and what is no S3 at all", async () => {
    s3.fault = () => "cut";
    await expect(store().probe()).rejects.toThrow(/it ends the connection/);
    const page = createServer((_, response) => response.end("<html><p>Welcome<br></html>")).listen(
      0,
      "127.0.0.1",
    );
    await once(page, "listening");
    const { port } = page.address() as AddressInfo;
    await expect(store({ endpoint: `http://127.0.0.1:${port}` }).probe()).rejects.toThrow(
      /is seals_endpoint an S3|is no S3/,
    );
    page.close();
    page.closeAllConnections();
  });

  it("that keeps versions", async () => {
    s3.versioning = "Enabled";
    expect(await store().probe()).toEqual([expect.stringMatching(/keeps versions.*lifecycle rule/)]);
  });
});

describe("a bucket behind TLS", needs("openssl"), () => {
  it("is trusted by its own certificate, and by no other", async () => {
    const own = certificate();
    const secured = await S3StandIn.start(own);
    try {
      const config = configOf(secured, { ca: own.cert });
      expect(await createBucketStore({ config, mostBytes: MOST }).probe()).toEqual([]);
      for (const ca of [null, certificate().cert])
        await expect(
          createBucketStore({ config: { ...config, ca }, mostBytes: MOST }).probe(),
        ).rejects.toThrow(/its certificate is not trusted \(seals_ca_file\)/);
      const plain = { ...config, endpoint: secured.url.replace("https:", "http:") };
      await expect(createBucketStore({ config: plain, mostBytes: MOST }).probe()).rejects.toThrow(
        /seals_endpoint/,
      );
    } finally {
      await secured.stop();
    }
  });
});

describe("what breaks on its way to or from a bucket", () => {
  it("is sent again where the server has a bad moment", async () => {
    let bad = 2;
    s3.fault = ({ what }) => (what === "put" && bad-- > 0 ? { code: "SlowDown", status: 503 } : null);
    expect((await keep(store())).bytes).toBe(19);
  });

  it("leaves no upload where a part is refused", async () => {
    await store().offer(CELL, manifestOf(LARGE));
    refusing("part", { code: "XMinioStorageFull", status: 507 });
    await expect(store().take(CELL, "cell.tar.gz", bytes(LARGE["cell.tar.gz"]))).rejects.toMatchObject({
      code: "disk-full",
    });
    expect(s3.uploads.size).toBe(0);
  });

  it("is read again where half of it came", async () => {
    const { digest } = await keep(store());
    refusing("get", "half");
    s3.fault = ({ what, key }) => (what === "get" && key.endsWith("cell.tar.gz") ? "half" : null);
    await expect(textOf(store(), digest, "cell.tar.gz")).rejects.toMatchObject({ retryable: true });
    s3.fault = () => null;
    expect(await textOf(store(), digest, "cell.tar.gz")).toBe("all of it");
  });

  it("is one seal where it was killed between its manifest and its end", async () => {
    refusing("delete", { code: "InternalError", status: 500 });
    await expect(keep(store())).rejects.toThrow(/it does not work just now \(500, InternalError\)/);
    s3.fault = () => null;
    const { digest } = await keep(store());
    expect([...(await store().held())]).toEqual([[CELL, [digest]]]);
  });

  it("is sent anew where what is there was damaged before it was kept anew", async () => {
    const { digest } = await keep(store());
    s3.objects.delete(`lazarus/${CELL}.${digest}/branch.bundle`);
    expect((await store().offer(CELL, manifestOf(FILES))).missing).toEqual(["branch.bundle"]);
    await keep(store());
    expect(await textOf(store(), digest, "branch.bundle")).toBe("refs");
  });
});
