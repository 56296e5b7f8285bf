import { admissible } from "../src/cells/steps/admission.ts";
import { createControl, newCell } from "../test/fakes/control-rig.ts";
import type { Figure } from "./ground.ts";

const SLOTS = 40;
const LIMITS = { cells: SLOTS, perOwner: 0, perRepository: SLOTS, perPerson: SLOTS };
const FLOOD = 3_000;
const FLOOD_AT_S = 600;
const END_S = 2 * 60 * 60;
const EVERY_S = 12;
const MEAN_RUN_S = 300;
const OWNERS = 60;

/** The same numbers in every run: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seconds from a summon to its place, and to its end, of everybody but the one who floods. */
interface Waits {
  readonly place: number[];
  readonly end: number[];
}

/** A simulated day's two hours on 40 slots: the line is the product's own, time and runs are not. */
function simulate(flood: number): Waits {
  const rig = createControl();
  rig.db.sql.pragma("synchronous = OFF");
  const random = randomFrom(13);
  const runS = () => Math.max(5, -Math.log(1 - random()) * MEAN_RUN_S);
  const waits: Waits = { place: [], end: [] };
  const asked = new Map<string, { at: number; runS: number; isFlood: boolean }>();
  let made = 0;
  const summon = (at: number, owner: string, isFlood: boolean) => {
    const id = `${String(++made).padStart(8, "0")}-1111-4222-8333-444455556666`;
    const requester = { id: isFlood ? 1 : 2 + (made % OWNERS), login: owner };
    const repository = { id: isFlood ? 1 : 2 + (made % OWNERS), fullName: `${owner}/app` };
    rig.registry.insert(
      newCell(0, { id, requester, repository, branch: `lazarus/${id.slice(0, 8)}` }),
      [],
      "",
    );
    rig.registry.addRun({ cellId: id, agent: "allegro", role: "executor", requester, state: "waiting" });
    asked.set(id, { at, runS: runS(), isFlood });
  };
  const events: { at: number; act: () => void }[] = [];
  for (let at = 0; at < END_S; at += EVERY_S) {
    const owner = `owner${Math.floor(random() * OWNERS)}`;
    events.push({ at, act: () => summon(at, owner, false) });
  }
  events.push({
    at: FLOOD_AT_S,
    act: () =>
      rig.registry.transaction(() => {
        for (let n = 0; n < flood; n++) summon(FLOOD_AT_S, "flood", true);
      }),
  });
  events.sort((a, b) => b.at - a.at);
  for (let next = events.pop(); next !== undefined && next.at < END_S; next = events.pop()) {
    const now = next.at;
    next.act();
    for (const { cellId, n } of admissible(rig.registry, { limits: LIMITS, now: 0 })) {
      const one = asked.get(cellId);
      if (one === undefined) continue;
      rig.registry.updateRun(cellId, n, { state: "running" });
      if (!one.isFlood) waits.place.push(now - one.at);
      if (!one.isFlood) waits.end.push(now - one.at + one.runS);
      const end = { at: now + one.runS, act: () => rig.registry.updateRun(cellId, n, { state: "ended" }) };
      const place = events.findLastIndex((other) => other.at >= end.at);
      events.splice(place + 1, 0, end);
    }
  }
  rig.remove();
  return waits;
}

export function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? 0;
}

/**
 * What one owner's 3,000 summons at once cost everybody else, from a summon to its end, on 40 slots of which
 * the others need about 25.
 */
export async function fairness(): Promise<Figure> {
  const [calm, flooded] = [simulate(0), simulate(FLOOD)];
  const say = (waits: Waits) =>
    `${p95(waits.end).toFixed(0)} s to its end, ${p95(waits.place).toFixed(0)} s to its place`;
  return {
    name: `others' p95 beside ${FLOOD} summons of one owner (simulated)`,
    floor: say(calm),
    measured: say(flooded),
    ratio: p95(flooded.end) / p95(calm.end),
    reach: { atMost: 2 },
  };
}
