import { statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../app.ts";
import { REGISTRY } from "../control.ts";
import { QUEUES } from "../protocol/jobs.ts";
import { LAST_BACKUP } from "../store/last-backup.ts";
import { MIGRATIONS } from "../store/migrations.ts";

/** One value of a gauge. */
export interface Value {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
export type Gauges = Readonly<Record<string, readonly Value[]>>;

type Measuring = Pick<App, "config" | "db" | "deps" | "notReady" | "botId">;

/** As its port counts: so many signs of life were missed, and what a way takes. */
const LATE_BEATS = 3;
const WAY_MS = 1_000;
const STATES = ["ready", "scheduled", "running", "retrying", "dead"] as const;
const one = (value: number, labels: Value["labels"] = {}): Value[] => [{ labels, value }];

/** Everything that is counted when somebody asks, by indexes of the registry. */
export function collect(app: Measuring, version: string): Gauges {
  const { config, deps } = app;
  const now = deps.clock.now();
  const waiting = waitingCells(app);
  return {
    build_info: one(1, { version, node: process.versions.node, schema: String(MIGRATIONS.length) }),
    ready: one(Number(app.notReady().length === 0)),
    forge_up: one(Number(app.botId() !== null && app.notReady().length === 0)),
    held: one(isHeld(deps.registry.rememberedText("hold"))),
    ...jobs(app, now),
    ...cells(app),
    cells_waiting: waiting.map(({ what, count }) => ({ labels: { for: what }, value: count })),
    cells_waiting_oldest_seconds: waiting.map(({ what, since }) => ({
      labels: { for: what },
      value: since === null ? 0 : Math.max(0, (now - since) / 1000),
    })),
    ...runners(app, now),
    places: one(config.limits.cells, { limit: "cells" }),
    catchup_lag_seconds: one(catchupLag(app, now)),
    ...disk(config),
    backup_last_timestamp_seconds: one(Number(deps.registry.rememberedText(LAST_BACKUP) ?? 0) / 1000),
  };
}

/** A hold that was taken back leaves an empty text. */
function isHeld(text: string | null): number {
  return Number(text !== null && text !== "" && text !== "null");
}

function jobs({ db }: Measuring, now: number): Gauges {
  const rows = db.sql
    .prepare(
      `SELECT queue, CASE
         WHEN state <> 'waiting' THEN state
         WHEN attempt > 0 AND not_before > @now THEN 'retrying'
         WHEN not_before > @now THEN 'scheduled' ELSE 'ready' END AS standing, count(*) AS n
       FROM jobs WHERE state IN ('waiting','running','dead') GROUP BY queue, standing`,
    )
    .all({ now }) as { queue: string; standing: string; n: number }[];
  const oldest = db.sql
    .prepare(
      `SELECT queue, min(max(put_at, not_before)) AS since FROM jobs
       WHERE state = 'waiting' AND not_before <= @now AND in_outage = 0 GROUP BY queue`,
    )
    .all({ now }) as { queue: string; since: number }[];
  return {
    jobs: QUEUES.flatMap((queue) =>
      STATES.map((state) => ({
        labels: { queue, state },
        value: rows.find((row) => row.queue === queue && row.standing === state)?.n ?? 0,
      })),
    ),
    job_oldest_ready_seconds: QUEUES.map((queue) => {
      const since = oldest.find((row) => row.queue === queue)?.since ?? now;
      return { labels: { queue }, value: Math.max(0, (now - since) / 1000) };
    }),
  };
}

const CELL_STATES = ["proposed", "active", "idle", "closing", "archived"];

function cells({ db }: Measuring): Gauges {
  const rows = db.sql
    .prepare("SELECT state, count(*) AS n FROM cells WHERE state <> 'destroyed' GROUP BY state")
    .all() as { state: string; n: number }[];
  const of = (state: string) => rows.find((row) => row.state === state)?.n ?? 0;
  const unwell = db.sql
    .prepare(
      `SELECT health, count(*) AS n FROM cells WHERE state IN ('active','idle','closing')
       AND health IS NOT NULL AND health <> 'healthy' GROUP BY health`,
    )
    .all() as { health: string; n: number }[];
  const left = db.sql
    .prepare(
      `SELECT coalesce(sum(json_array_length(runs.leftovers)), 0) AS n FROM cells
       JOIN runs ON runs.cell = cells.id WHERE cells.state IN ('active','idle','closing')`,
    )
    .get() as { n: number };
  return {
    cells: CELL_STATES.map((state) => ({ labels: { state }, value: of(state) })),
    cells_unwell: unwell.map(({ health, n }) => ({ labels: { health }, value: n })),
    places_used: one(of("active"), { limit: "cells" }),
    leftover_processes: one(left.n),
  };
}

interface Waiting {
  readonly what: string;
  readonly count: number;
  /** Epoch ms; null: none waits. */
  readonly since: number | null;
}

/** For whom or what cells wait; one row each, also where none does. */
function waitingCells({ db }: Measuring): Waiting[] {
  const last = "runs.n = (SELECT max(n) FROM runs WHERE cell = cells.id)";
  const ended = (how: string) =>
    `SELECT count(*) AS count, min(runs.ended_at) AS since FROM cells
     JOIN runs ON runs.cell = cells.id AND ${last} WHERE cells.state = 'idle' AND runs.exit_class ${how}`;
  const asked: Readonly<Record<string, string>> = {
    approval:
      "SELECT count(*) AS count, min(created_at) AS since FROM cells WHERE state = 'proposed' AND waits_for_approval = 1",
    question: ended("= 'question'"),
    login: ended("IN ('not-logged-in','no-credit')"),
    push_refused: `SELECT count(*) AS count, min(health_since) AS since FROM cells
      WHERE state IN ('idle','closing') AND push_refused IS NOT NULL`,
    breaker: `SELECT count(*) AS count, min(health_since) AS since FROM cells WHERE state = 'idle' AND breaker IS NOT NULL`,
    place: "SELECT count(*) AS count, min(created_at) AS since FROM runs WHERE state = 'waiting'",
  };
  return Object.entries(asked).map(([what, sql]) => {
    const row = db.sql.prepare(sql).get() as { count: number; since: number | null };
    return { what, ...row };
  });
}

/** Of runners on other hosts, as they were heard last. */
function runners({ deps }: Measuring, now: number): Gauges {
  const busy = deps.registry.places.load().runners;
  const all = deps.registry.runners.list().map(({ name, heardAt, facts }) => {
    const age = heardAt === null ? null : Math.max(0, now - heardAt);
    const used = busy.get(name) ?? 0;
    return {
      ...{ name, age, used, free: Math.max(0, (facts?.slots ?? 0) - used) },
      isUp: age !== null && facts !== null && age < facts.beatMs * LATE_BEATS + WAY_MS,
    };
  });
  return {
    runner_up: all.flatMap(({ name, isUp }) => one(Number(isUp), { runner: name })),
    runner_heartbeat_age_seconds: all.flatMap(({ name, age }) =>
      age === null ? [] : one(age / 1_000, { runner: name }),
    ),
    runner_places: all.flatMap(({ name, used, free }) => [
      ...one(used, { runner: name, state: "used" }),
      ...one(free, { runner: name, state: "free" }),
    ]),
  };
}

function catchupLag({ db }: Measuring, now: number): number {
  const row = db.sql.prepare("SELECT min(saved_at) AS at FROM catchup_marks").get() as { at: number | null };
  return row.at === null ? 0 : Math.max(0, (now - row.at) / 1000);
}

function disk({ dataDir, missionsDir }: App["config"]): Gauges {
  const free = (of: string, path: string): Value[] => {
    try {
      const { bavail, bsize } = statfsSync(path);
      return one(bavail * bsize, { of });
    } catch {
      // Not made yet.
      return [];
    }
  };
  const size = (of: string, name: string) => one(statOf(join(dataDir, name))?.size ?? 0, { of });
  const scanned = statOf(join(dataDir, "pit-heartbeat.json"))?.mtimeMs ?? 0;
  return {
    disk_free_bytes: [...free("data", dataDir), ...free("missions", missionsDir)],
    disk_used_bytes: [...size("registry", REGISTRY), ...size("wal", `${REGISTRY}-wal`)],
    pit_last_scan_timestamp_seconds: one(scanned / 1000),
  };
}

const statOf = (path: string) => statSync(path, { throwIfNoEntry: false });
