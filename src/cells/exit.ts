/** What became of a run, as far as can be told from what it left. */
export const EXIT_CLASSES = [
  "done",
  "nothing-changed",
  "question",
  "quota",
  "not-logged-in",
  "crashed",
  "over-limit",
  "stopped",
  "machine",
  "lost",
] as const;
export type ExitClass = (typeof EXIT_CLASSES)[number];
