import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { DOCS_WITH_TABLES, fillTables } from "./doc-tables.ts";

/** Rewrites the docs' tables of commands, keys and exits from the code. */
for (const file of DOCS_WITH_TABLES) {
  const path = resolve(import.meta.dirname, "..", file);
  writeFileSync(path, fillTables(file, readFileSync(path, "utf8")));
}
