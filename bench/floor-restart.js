/*
 * The floor of a restart: the same program is read, then the database is opened and what must be looked at is
 * read: each running run's row, and its process in /proc. argv: the built program's directory, the database.
 */
const [, , dist, file] = process.argv;
await import(`${dist}/cli/main.js`);
const { default: Database } = await import("better-sqlite3");
const { readFileSync } = await import("node:fs");
const db = new Database(file);
const rows = db
  .prepare("SELECT * FROM cells JOIN runs ON runs.cell = cells.id WHERE runs.state = 'running'")
  .all();
let alive = 0;
for (const row of rows) {
  const { pid } = JSON.parse(row.handle);
  if (readFileSync(`/proc/${pid}/stat`, "utf8").startsWith(`${pid} `)) alive++;
}
process.stdout.write(`${alive} alive\n`);
process.exit(0);
