import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** A delivery as a real server sent it, unchanged. */
export interface Recorded {
  readonly name: string;
  readonly server: "gitea" | "forgejo";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const FIXTURES = resolve(import.meta.dirname, "../fixtures/gitea");
/** What all of them were signed with. */
export const RECORDED_SECRET = "a-recorded-secret";

export function recordedDeliveries(): Recorded[] {
  return (["gitea", "forgejo"] as const).flatMap((server) =>
    readdirSync(join(FIXTURES, server))
      .filter((file) => file !== "INDEX.json")
      .sort()
      .map((file) => {
        const { headers, body } = JSON.parse(readFileSync(join(FIXTURES, server, file), "utf8")) as Recorded;
        return { server, name: file.replace(/\.json$/, ""), headers, body };
      }),
  );
}

/** One of them by the number-less part of its name, of Gitea's. */
export function recordedDelivery(name: string): Recorded {
  const found = recordedDeliveries().find((one) => one.name.endsWith(name));
  if (found === undefined) throw new Error(`no delivery ${name} was recorded`);
  return found;
}
