/**
 * What in a document for programs is not in its form: keys in snake_case, every `…_at` and `at` a time of RFC
 * 3339 or null.
 */
export function faultsOf(value: unknown, path = "$"): string[] {
  if (Array.isArray(value)) return value.flatMap((one, index) => faultsOf(one, `${path}[${index}]`));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, one]) => {
    const here = `${path}.${key}`;
    const faults = /^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(key) ? [] : [`${here} is not in snake_case`];
    if (/(^|_)(at|since)$/.test(key) && one !== null && !isTime(one))
      faults.push(`${here} is no time: ${one}`);
    return [...faults, ...faultsOf(one, here)];
  });
}

function isTime(value: unknown): boolean {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value);
}
