import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fillReadme } from "./readme-tables.ts";

/** Rewrites the README's tables of commands and keys from the code. */
const path = resolve(import.meta.dirname, "../README.md");
writeFileSync(path, fillReadme(readFileSync(path, "utf8")));
