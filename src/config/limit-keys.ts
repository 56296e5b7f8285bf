import { key, section } from "./keys.ts";
import { count, duration, money, size, span } from "./kinds.ts";

/** `limits` of the file. */
export const limits = section({
  cells: key(count(1), 8, "cells active at the same time"),
  per_owner: key(count(0), 0, "of them for one owner of repositories; 0: no limit"),
  per_repository: key(count(1), 4, "of them for one repository"),
  per_person: key(count(1), 3, "of them for one person"),
  run: key(span, "2h", "wall clock of one run"),
  ttl: key(span, "24h", "of a cell, unless `--ttl`"),
  grace: key(duration, "10s", "between TERM and KILL"),
  keep: key(duration, "14d", "archived cells, then destroyed; 0 keeps for ever"),
  revives: key(count(0), 2, "automatic retries after a crash, then a person is asked"),
  team: key(count(2), 5, "agents of one team"),
  proposals: key(count(1), 3, "of one person that wait for a director's decision; more are planned later"),
  review_wait: key(
    duration,
    "60s",
    "after a review that asks for changes, before its turn begins: others join it",
  ),
  rounds: key(
    count(0),
    5,
    "turns in a row for reviews of one and the same person, then a person is asked; 0: no end",
  ),
  check: key(span, "10m", "wall clock of one check, and of a setup, that names no limit of its own"),
  checks: key(span, "20m", "of all checks of what was pushed, their setup included"),
  fixes: key(
    count(0),
    1,
    "turns that begin by themselves because a check fails that passes on the base, then people are asked; 0: none",
  ),
  turns: key(count(0), 20, "turns of a cell, then a director's `revive` gives as many more; 0: no end"),
  cost: key(money, 0, "USD of a cell, where its agents tell it: a brake, no protection; 0: no limit"),
  tokens: key(count(0), 0, "tokens of a cell, cached ones too, where its agents tell them; 0: no limit"),
  disk: key(size, "10GB", "of one cell; a file counts as 4 KB at least"),
  free: key(size, "2GB", "below this no run starts"),
  spares: key(
    count(0),
    8,
    "trees that wait for the next summon, one for each repository that was summoned lately; 0: none",
  ),
  confined: key(size, "1GB", "memory of one piece of work on what agents or strangers made"),
}).prefault({});
