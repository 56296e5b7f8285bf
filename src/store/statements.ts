interface Statement {
  pluck(): this;
}

/** Beyond so many, all are made anew: values are bound, so that no program writes as many texts. */
const MOST_STATEMENTS = 1_000;

/** Prepares each text once: that takes longer than most of them run. */
export function keepStatements<S extends Statement>(prepare: (text: string) => S): (text: string) => S {
  const kept = new Map<string, S>();
  const keep = (key: string, make: () => S): S => {
    const known = kept.get(key);
    if (known !== undefined) return known;
    if (kept.size >= MOST_STATEMENTS) kept.clear();
    const made = make();
    kept.set(key, made);
    return made;
  };
  return (text) =>
    keep(text, () => {
      const made = prepare(text);
      // Another statement: whoever else prepares that text gets whole rows.
      made.pluck = () => keep(`plucked ${text}`, () => prepare(text).pluck());
      return made;
    });
}
