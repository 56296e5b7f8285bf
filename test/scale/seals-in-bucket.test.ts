import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BUCKET, S3StandIn, WRITER } from "../fakes/s3/stand-in.ts";
import { until } from "../fakes/until.ts";
import { needs } from "../machine.ts";
import { FleetStage } from "./fleet.ts";
import type { RunnerProcess } from "./runner-process.ts";
import { TURNS, TurningCell } from "./turning-cell.ts";

/** What stays with the cell is more than two parts of an upload. */
const LARGE_TURNS = `head -c 20000000 /dev/urandom > "$LAZARUS_ARTIFACTS/large"\n${TURNS}`;

let s3: S3StandIn;
let fleet: FleetStage;
let cell: TurningCell;

beforeAll(async () => {
  s3 = await S3StandIn.start();
  const bucket = {
    ...{ seals: `s3://${BUCKET}/lazarus`, seals_endpoint: s3.url },
    ...{ seals_key_id: WRITER.keyId, seals_secret: WRITER.secret },
  };
  fleet = await FleetStage.set(bucket, { turns: LARGE_TURNS });
});
afterAll(async () => {
  await fleet?.strike();
  await s3?.stop();
});

const objects = () =>
  [...s3.objects.keys()].filter((key) => key.startsWith(`lazarus/${cell.cellId}.`)).sort();
const isWhole = () => objects().some((key) => key.endsWith("/manifest.json"));
async function another(name: string): Promise<RunnerProcess> {
  const runner = await fleet.make({ join: await fleet.add(name), agents: { turns: LARGE_TURNS } });
  await runner.start();
  await fleet.heard(name);
  return runner;
}

describe("an archived cell whose seal lies in a bucket", needs("redis-server"), () => {
  it("waits while the S3 is down, in words", async () => {
    const { stage } = fleet;
    cell = await TurningCell.summon(fleet, "It goes through a bucket");
    const { port } = s3;
    await s3.stop();
    await cell.close();
    await stage.card(cell.issue, /seals\/lazarus \(seals in lazarus\.yaml\): nobody listens there/);
    await s3.listen(port);
  });

  it("is whole or not there where the server is killed in the middle of it", async () => {
    const { lazarus } = fleet.stage;
    let parts = 0;
    s3.fault = ({ what }) => (what === "part" && ++parts > 1 ? "silent" : null);
    await lazarus.end();
    await lazarus.serve();
    await until("a second part is on its way", () => parts > 1);
    await lazarus.end("SIGKILL");
    expect([isWhole(), objects().some((key) => key.endsWith("cell.tar.gz")), s3.uploads.size]).toEqual([
      ...[false, false],
      1,
    ]);
    s3.fault = () => null;
    await lazarus.serve();
    await until("its seal is kept", isWhole);
    expect(s3.uploads.size).toBe(0);
    await fleet.stage.card(cell.issue, /^(?![\s\S]*nobody listens there)/);
  });

  it("comes back on another runner, which was killed while it came, when its own is gone for good", async () => {
    await fleet.runner.remove();
    const second = await another("r2");
    let isStalled = false;
    s3.fault = ({ what, key }) => {
      if (what !== "get" || !key.endsWith("cell.tar.gz")) return null;
      isStalled = true;
      return "stall";
    };
    await cell.revive();
    await until("half of it has come", () => isStalled);
    await second.end("SIGKILL");
    expect(existsSync(join(second.missionsDir, cell.cellId))).toBe(false);
    s3.fault = () => null;
    await second.start();
    await cell.isPublished(2);
    expect(await cell.turnsOn(second)).toBe(2);
  });

  it("that is damaged there is not brought back, in words, and is once it was mended", async () => {
    const { stage } = fleet;
    const before = objects();
    await cell.close();
    await until("its new seal is the only one", () => isWhole() && !objects().includes(before[0] ?? ""));
    await stage.lazarus.cli("runner", "drain", "r2");
    const third = await another("r3");
    const tar = objects().find((key) => key.endsWith("cell.tar.gz")) ?? "";
    const sound = s3.objects.get(tar);
    const body = Buffer.from(sound?.body ?? "");
    body[0] = (body[0] ?? 0) ^ 1;
    s3.objects.set(tar, { body, at: new Date() });
    await cell.revive();
    await stage.card(
      cell.issue,
      /is damaged, cell\.tar\.gz is not what was sealed \(its SHA-256 differs\): put it back/,
    );
    s3.objects.set(tar, { body: body.subarray(0, 1_000), at: new Date() });
    await cell.revive();
    await stage.card(
      cell.issue,
      /cell\.tar\.gz has 1000 bytes instead of \d+: put it back there from a copy/,
    );
    if (sound !== undefined) s3.objects.set(tar, sound);
    await cell.revive();
    await cell.isPublished(3);
    expect(await cell.turnsOn(third)).toBe(3);
  });

  it("leaves nothing there when it is destroyed", async () => {
    await cell.close();
    await until("its seal is kept", isWhole);
    await cell.destroy();
    await until("nothing is kept", () => s3.objects.size === 0 && s3.uploads.size === 0);
  });
});
