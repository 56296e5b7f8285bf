import { toIso } from "../clock.ts";
import { age } from "../commands/words/status-row.ts";
import { explain, LazarusError } from "../errors.ts";
import { type Counts, noCounts, type PitEntry, type Stranger } from "../runner/pit/pit.ts";
import { PIT_CLASSES, type PitClass } from "../runner/pit/pit-look.ts";
import { failure } from "./exit-codes.ts";

/** What was found, counted; `failed` where the scan ended in the middle, and the document says so. */
export interface Report {
  readonly counts: Counts;
  readonly failed: boolean;
}

export interface DocumentHead {
  readonly root: string;
  readonly at: number;
  /** Of `--init-cell`: what was made. */
  readonly initialized?: { readonly id: string; readonly made: readonly string[] };
}

/**
 * Prints the report for programs while it is made, so that ten thousand cells need no more memory than one:
 * counts and strangers come last. What goes wrong before the first cell is thrown; later it is told in the
 * document, under `error`.
 */
export function printDocument(
  all: Iterable<PitEntry>,
  { root, at, initialized }: DocumentHead,
  print: (text: string) => void,
): Report {
  const counts = noCounts();
  const strangers: Stranger[] = [];
  const head = { generated_at: toIso(at), root, ...(initialized === undefined ? {} : { initialized }) };
  let waiting = `{\n${fields(head)},\n  "cells": [`;
  let cells = 0;
  let problem: unknown = null;
  try {
    for (const seen of all) {
      if (seen.kind === "stranger") {
        strangers.push(seen);
        continue;
      }
      const { id, class: found, reason, ageSeconds } = seen;
      counts[found]++;
      waiting += `${cells++ === 0 ? "" : ","}\n    ${safeJson({ id, class: found, reason, age_seconds: ageSeconds })}`;
      if (waiting.length < BATCH_CHARS) continue;
      print(waiting);
      waiting = "";
    }
  } catch (error) {
    if (cells === 0) throw error;
    problem = error;
  }
  const listed = strangers.map(({ path, what }) => `\n    ${safeJson({ path, what })}`).join(",");
  const tail = { counts, ...(problem === null ? {} : failure(codeOf(problem), explain(problem))) };
  const ends = [
    cells === 0 ? "]" : "\n  ]",
    `  "strangers": [${listed}${listed === "" ? "]" : "\n  ]"}`,
    fields(tail),
  ];
  print(`${waiting}${ends.join(",\n")}\n}\n`);
  return { counts, failed: problem !== null };
}

const BATCH_CHARS = 64 * 1024;

function codeOf(error: unknown): string {
  return error instanceof LazarusError ? error.code : "internal";
}

function fields(value: object): string {
  return Object.entries(value)
    .map(([name, one]) => `  ${JSON.stringify(name)}: ${safeJson(one)}`)
    .join(",\n");
}

/**
 * JSON whose text is harmless in a terminal: what would steer one is written as an escape, and reads the
 * same.
 */
function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSEEN, (text) => {
    const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

/** Control characters, format characters (bidi, zero width), separators of lines. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A name as a terminal may show it. */
export function visible(name: string): string {
  return name.replace(UNSEEN, (text) => `\\u{${(text.codePointAt(0) ?? 0).toString(16)}}`);
}

/** How many are not well. */
export function notHealthy(counts: Counts): number {
  return counts.stale + counts.incomplete + counts.uninitialized;
}

/** `3 cells in /var/missions: 2 healthy, 1 stale`. */
export function summaryOf(root: string, counts: Counts, strangers: number): string {
  const all = counts.healthy + notHealthy(counts);
  const parts = PIT_CLASSES.filter((name) => counts[name] > 0).map((name) => `${counts[name]} ${name}`);
  const cells = `${all === 0 ? "no" : all} ${all === 1 ? "cell" : "cells"} in ${visible(root)}`;
  const others = strangers === 0 ? "" : `; strangers: ${strangers}`;
  return `${cells}${parts.length === 0 ? "" : `: ${parts.join(", ")}`}${others}`;
}

/** Prints the report for people: those that are not well first. */
export function printTable(all: Iterable<PitEntry>, root: string, print: (text: string) => void): Report {
  const counts = noCounts();
  const rows: { rank: number; text: string }[] = [];
  const strangers: string[] = [];
  for (const seen of all) {
    if (seen.kind === "stranger") {
      strangers.push(`${visible(seen.path)}  ${seen.what}`);
      continue;
    }
    counts[seen.class]++;
    const old = seen.ageSeconds === null ? "-" : age(seen.ageSeconds * 1000);
    rows.push({ rank: RANKS.indexOf(seen.class), text: line(seen.id, seen.class, old, seen.reason) });
  }
  rows.sort((a, b) => a.rank - b.rank || (a.text < b.text ? -1 : 1));
  const parts = [
    ...(rows.length === 0
      ? []
      : [line("CELL", "CLASS", "AGE", "REASON"), ...rows.map((row) => row.text), ""]),
    ...(strangers.length === 0 ? [] : ["Strangers, left alone:", ...strangers.sort(), ""]),
    summaryOf(root, counts, strangers.length),
  ];
  print(`${parts.join("\n")}\n`);
  return { counts, failed: false };
}

const RANKS: readonly PitClass[] = ["stale", "incomplete", "uninitialized", "healthy"];

function line(id: string, found: string, old: string, reason: string): string {
  return `${id.padEnd(36)}  ${found.padEnd(13)}  ${old.padEnd(4)}  ${reason}`;
}
