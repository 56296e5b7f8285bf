import fc from "fast-check";
import { expect, it } from "vitest";
import { type ControlRig, createControl } from "../fakes/control-rig.ts";
import { createWorld, IDS } from "../fakes/world.ts";

const OTHER = "Quite another sentence";

/** Where sentences for people are kept. */
const KEPT: readonly (readonly [table: string, column: string, path?: string])[] = [
  ["cells", "approval"],
  ["cells", "not_started"],
  ["cells", "stuck", "$.why"],
  ["cells", "push_refused"],
  ["cells", "not_closed"],
  ["cells", "repository_trouble"],
  ["cells", "health_reason"],
  ["cells", "breaker"],
  ["runs", "stopped"],
  ["runs", "exit_why"],
  ["runs", "exit_says"],
  ["history", "why"],
  ["jobs", "error"],
];

/** Every sentence that was written down becomes another one; answers how many there were. */
function changeAll({ db }: ControlRig): number {
  return db.transaction(() => {
    const changes = KEPT.map(([table, column, path]) => {
      const other = path === undefined ? "@other" : `json_set(${column}, '${path}', @other)`;
      const set = `UPDATE ${table} SET ${column} = ${other} WHERE ${column} IS NOT NULL AND ${column} <> ${other}`;
      return db.sql.prepare(set).run({ other: OTHER }).changes;
    });
    const told = db.sql.prepare(
      `UPDATE jobs SET payload = json_set(payload, '$.why', @other)
       WHERE state = 'waiting' AND json_type(payload, '$.why') = 'text'`,
    );
    return changes.reduce((sum, n) => sum + n, told.run({ other: OTHER }).changes);
  });
}

/** All that has happened, but for the sentences. */
function facts({ db, registry }: ControlRig) {
  const cells = IDS.map((id) => {
    const cell = registry.cell(id);
    if (cell === null) return null;
    const { state, outcome, closing, waitsForApproval, publishedTip, expiresAt, keepUntil } = cell;
    const stuck = cell.stuck && { job: cell.stuck.job, isOver: cell.stuck.isOver };
    const causes = [cell.approval, cell.notStarted, cell.pushRefused, cell.notClosed, cell.breaker];
    const runs = registry.runs(id).map((run) => {
      const { n, exitClass, stopCause, notBefore, isAutomatic, turn, code } = run;
      return { n, state: run.state, exitClass, stopCause, notBefore, isAutomatic, turn, code };
    });
    const moves = registry.history(id).map(({ from, to, who }) => [from, to, who]);
    const isIn = causes.map((cause) => cause !== null);
    return {
      ...{ state, outcome, closing, waitsForApproval, publishedTip, expiresAt, keepUntil },
      ...{ stuck, isIn, runs, moves },
    };
  });
  const jobs = db.sql.prepare("SELECT kind, lane, state, urgent, not_before FROM jobs ORDER BY seq").all();
  return { cells, jobs };
}

interface Walk {
  roll(): number;
  readonly isChanged: boolean;
}

async function walk({ roll, isChanged }: Walk) {
  const rig = createControl({ config: { limits: { cells: 2, ttl: "4h", keep: "30d" } } });
  try {
    const { work, person, time } = createWorld(rig, roll, (said) => (isChanged ? OTHER : said));
    let changed = 0;
    for (let step = 0; step < 150; step++) {
      const what = roll();
      if (what < 0.3) person();
      else if (what < 0.4) await time();
      else work();
      if (isChanged) changed += changeAll(rig);
    }
    return { facts: facts(rig), changed };
  } finally {
    rig.remove();
  }
}

it("nothing hangs on sentences: with every one of them changed, all comes as it came before", async () => {
  let changed = 0;
  const million = () => fc.noBias(fc.nat(999_999));
  await fc.assert(
    fc.asyncProperty(fc.gen(), async (gen) => {
      const dice: number[] = [];
      const first = await walk({
        isChanged: false,
        roll() {
          dice.push(gen(million) / 1_000_000);
          return dice.at(-1) ?? 0;
        },
      });
      const again = dice.values();
      const second = await walk({ isChanged: true, roll: () => again.next().value ?? 0 });
      expect(second.facts).toEqual(first.facts);
      changed += second.changed;
    }),
    { numRuns: 6, endOnFailure: true },
  );
  expect(changed).toBeGreaterThan(100);
});
