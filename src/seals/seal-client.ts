import { Readable } from "node:stream";
import * as z from "zod";
import { LazarusError } from "../errors.ts";
import type { Streamed, Streams } from "../gitea/http.ts";
import type { SealPlace, SealRef } from "../protocol/seal-place.ts";

export interface SealClientOptions {
  /** Address of control's server, without a slash at its end. */
  readonly root: string;
  readonly streams: Streams;
  /** The pass of a job in hand; null: it has none. */
  passOf(row: string): string | null;
}

const MOST_TEXT_BYTES = 1024 ** 2 + 1;
const answerShape = z.object({ missing: z.array(z.string()) });

/** Control's seals, for a runner on another host. */
export function createSealClient({ root, streams, passOf }: SealClientOptions): SealPlace {
  async function ask(
    of: SealRef,
    what: { method: "GET" | "PUT"; name: string; doing: string; body?: Readable; bytes?: number },
  ): Promise<Streamed> {
    const pass = passOf(of.row);
    if (pass === null)
      throw new LazarusError("directory", `${what.doing}: control has sent no pass for it`, {
        retryable: true,
      });
    const bytes = what.bytes === undefined ? {} : { "content-length": String(what.bytes) };
    const answer = await streams(`${root}/seals/${of.cellId}/${what.name}`, {
      ...{ method: what.method, body: what.body ?? null, signal: new AbortController().signal },
      headers: { authorization: `Bearer ${pass}`, ...bytes },
    }).catch((error: unknown) => {
      throw new LazarusError(
        "directory",
        `${what.doing}: control's server could not be reached (runner.gate)`,
        {
          ...{ retryable: true, cause: error },
        },
      );
    });
    if (answer.status < 300) return answer;
    const said = (await textOf(answer.body)).trim().slice(0, 1_000);
    throw refusal(answer.status, `${what.doing}: ${said}`);
  }

  return {
    async offer(of, manifest) {
      const bytes = Buffer.byteLength(manifest);
      const body = Readable.from([Buffer.from(manifest)]);
      const what = {
        method: "PUT",
        name: "manifest.json",
        doing: "handing a seal over",
        body,
        bytes,
      } as const;
      const { missing } = answerShape.parse(JSON.parse(await textOf((await ask(of, what)).body)));
      return missing;
    },
    async send(of, { name, bytes }, body) {
      const answer = await ask(of, { method: "PUT", name, doing: "handing a seal over", body, bytes });
      answer.body.resume();
    },
    async manifest(of) {
      return textOf((await ask(of, { method: "GET", name: "manifest.json", doing: "fetching a seal" })).body);
    },
    fetch: async (of, name) => (await ask(of, { method: "GET", name, doing: "fetching a seal" })).body,
  };
}

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length;
    if (bytes > MOST_TEXT_BYTES) break;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function refusal(status: number, message: string): LazarusError {
  if (status === 507) return new LazarusError("disk-full", message, { retryable: true });
  if (status === 413) return new LazarusError("over-limit", message);
  // What has run out is sent again; a file that differs is sealed, or damaged, for good.
  return new LazarusError("directory", message, { retryable: status === 401 || status >= 500 });
}
