import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { sha256 } from "../hash.ts";

/** A file that browsers keep for good: its name changes with what is in it. */
export interface StaticFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzip: Buffer;
}

/**
 * This file lies as deep below the package as the built program does, so that the path is the same from both.
 */
const OWN = new URL("../../src/dashboard/static/", import.meta.url);
const own = (name: string) => readFileSync(fileURLToPath(new URL(name, OWN)), "utf8");
const packaged = (name: string) => readFileSync(createRequire(import.meta.url).resolve(name), "utf8");

function file(name: string, type: string, text: string): readonly [path: string, file: StaticFile] {
  const [stem, end] = name.split(".");
  const bytes = Buffer.from(text);
  return [`/static/${stem}.${sha256(text).slice(0, 12)}.${end}`, { type, bytes, gzip: gzipSync(bytes) }];
}

const js = file(
  "app.js",
  "text/javascript; charset=utf-8",
  `${packaged("idiomorph/dist/idiomorph.min.js")}\n${own("app.js")}`,
);
const css = file("app.css", "text/css; charset=utf-8", own("app.css"));
const icon = file("icon.svg", "image/svg+xml", own("icon.svg"));

/** By the path they are asked for. */
export const FILES: ReadonlyMap<string, StaticFile> = new Map([js, css, icon]);
/** Where each is asked for. */
export const STATIC = { js: js[0], css: css[0], icon: icon[0] };
