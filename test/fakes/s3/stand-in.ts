import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type Verdict, verify } from "./signature.ts";

export const WRITER = { keyId: "writer", secret: "the/secret+of=the writer" };
/** May read and list, and nothing else. */
export const READER = { keyId: "reader", secret: "the secret of the reader" };
export const REGION = "us-east-1";
export const BUCKET = "seals";

/** One request, as faults are chosen by. */
export interface AskedOf {
  readonly what:
    | "put"
    | "get"
    | "delete"
    | "list"
    | "begin"
    | "part"
    | "complete"
    | "abort"
    | "uploads"
    | "other";
  /** Of the object, or what a list begins with. */
  readonly key: string;
  /** Bytes of the request's body. */
  readonly bytes: number;
}

/**
 * `cut`: the connection ends; `half`: an answer ends in its middle; `stall`: it stops there; `silent`: nothing
 * comes, ever.
 */
export type Fault = Verdict | "cut" | "half" | "stall" | "silent";

interface Stored {
  readonly body: Buffer;
  readonly at: Date;
}

interface UploadInHand {
  readonly key: string;
  readonly parts: Map<number, Buffer>;
}

const LEAST_PART = 5 * 1024 ** 2;

/**
 * An S3 for one bucket, in memory: what the calls of `src/seals/bucket.ts` need. It looks at every signature,
 * gives pages, refuses small parts. `test/seals/stores.test.ts` runs the same cases on a real server.
 */
export class S3StandIn {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, UploadInHand>();
  readonly asked: AskedOf[] = [];
  /** Of a list. */
  pageSize = 1_000;
  /** How far its clock is ahead. */
  skewMs = 0;
  versioning: string | null = null;
  fault: (asked: AskedOf) => Fault | null = () => null;
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    this.#scheme = scheme;
  }

  static async start(tls?: { readonly key: string; readonly cert: string }): Promise<S3StandIn> {
    let s3: S3StandIn | null = null;
    const answer: RequestListener = (request, response) => void s3?.answer(request, response);
    const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
    s3 = new S3StandIn(server, tls === undefined ? "http" : "https");
    await s3.listen(0);
    return s3;
  }

  async listen(port: number): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#scheme}://${this.#scheme === "https" ? "localhost" : "127.0.0.1"}:${this.port}`;
  }

  /** Nobody listens there any more; what is kept stays. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      this.handle(request, response, Buffer.concat(chunks));
    } catch {
      response.destroy();
    }
  }

  private handle(request: IncomingMessage, response: ServerResponse, body: Buffer): unknown {
    const now = Date.now() + this.skewMs;
    response.setHeader("Date", new Date(now).toUTCString());
    const url = new URL(request.url ?? "/", "http://host");
    const [, bucket = "", ...rest] = url.pathname.split("/").map(decodeURIComponent);
    const query = url.searchParams;
    const asked = askedOf(request.method ?? "", rest.join("/"), query, body.length);
    this.asked.push(asked);
    const fault = this.fault(asked);
    if (fault === "silent") return null;
    if (fault === "cut") return response.destroy();
    const who = verify(request, body, { signers: [WRITER, READER], region: REGION, now });
    if ("code" in who) return refuse(response, who);
    if (fault !== null && typeof fault !== "string") return refuse(response, fault);
    if (bucket !== BUCKET) return refuse(response, { code: "NoSuchBucket", status: 404 });
    const isWrite = ["put", "delete", "begin", "part", "complete", "abort"].includes(asked.what);
    if (isWrite && who.keyId !== WRITER.keyId) return refuse(response, { code: "AccessDenied", status: 403 });
    return this.act(asked, { query, body, response, part: fault });
  }

  private act(
    { what, key }: AskedOf,
    on: { query: URLSearchParams; body: Buffer; response: ServerResponse; part: Fault | null },
  ): unknown {
    const { query, body, response, part } = on;
    const id = query.get("uploadId") ?? "";
    const upload = this.uploads.get(id);
    if (["part", "complete", "abort"].includes(what) && upload?.key !== key)
      return refuse(response, { code: "NoSuchUpload", status: 404 });
    switch (what) {
      case "put":
        this.objects.set(key, { body, at: new Date() });
        return response.setHeader("ETag", etag(body)).end();
      case "get":
        return this.give(key, response, part);
      case "delete":
        this.objects.delete(key);
        return response.writeHead(204).end();
      case "begin": {
        const made = randomUUID();
        this.uploads.set(made, { key, parts: new Map() });
        return xml(response, "InitiateMultipartUploadResult", `<UploadId>${made}</UploadId>`);
      }
      case "part":
        upload?.parts.set(Number(query.get("partNumber")), body);
        return response.setHeader("ETag", etag(body)).end();
      case "complete":
        return this.complete(id, body.toString(), response);
      case "abort":
        this.uploads.delete(id);
        return response.writeHead(204).end();
      case "uploads":
        return this.listUploads(query, response);
      case "list":
        return this.list(query, response);
      default:
        return xml(
          response,
          "VersioningConfiguration",
          this.versioning === null ? "" : `<Status>${this.versioning}</Status>`,
        );
    }
  }

  private give(key: string, response: ServerResponse, part: Fault | null): unknown {
    const found = this.objects.get(key);
    if (found === undefined) return refuse(response, { code: "NoSuchKey", status: 404 });
    response.writeHead(200, {
      ...{ "Content-Length": found.body.length, ETag: etag(found.body) },
      "Last-Modified": found.at.toUTCString(),
    });
    if (part === null) return response.end(found.body);
    const half = found.body.subarray(0, Math.floor(found.body.length / 2));
    return response.write(half, () => part === "half" && response.destroy());
  }

  private complete(id: string, text: string, response: ServerResponse): unknown {
    const upload = this.uploads.get(id);
    const named = [...text.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = ""]) => ({
      n: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
      etag: /<ETag>(.*?)</.exec(part)?.[1]?.replaceAll("&quot;", '"'),
    }));
    const bodies = named.map(({ n }) => upload?.parts.get(n));
    const isRight = named.every(
      ({ n, etag: said }, at) =>
        bodies[at] !== undefined && etag(bodies[at]) === said && (at === 0 || n > (named[at - 1]?.n ?? 0)),
    );
    if (upload === undefined || named.length === 0 || !isRight)
      return refuse(response, { code: "InvalidPart", status: 400 });
    const parts = bodies as Buffer[];
    if (parts.slice(0, -1).some((part) => part.length < LEAST_PART))
      return refuse(response, { code: "EntityTooSmall", status: 400 });
    this.objects.set(upload.key, { body: Buffer.concat(parts), at: new Date() });
    this.uploads.delete(id);
    return xml(response, "CompleteMultipartUploadResult", `<Key>${upload.key}</Key>`);
  }

  private list(query: URLSearchParams, response: ServerResponse): unknown {
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter");
    const after = query.get("continuation-token") ?? "";
    const folded = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => {
        const end = delimiter === null ? -1 : key.indexOf(delimiter, prefix.length);
        return end === -1 ? key : key.slice(0, end + 1);
      });
    const all = [...new Set(folded)].sort().filter((key) => key > after);
    const page = all.slice(0, this.pageSize);
    const entries = page.map((key) => {
      const found = this.objects.get(key);
      return found === undefined
        ? `<CommonPrefixes><Prefix>${key}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${key}</Key><Size>${found.body.length}</Size></Contents>`;
    });
    const more =
      page.length < all.length
        ? `<IsTruncated>true</IsTruncated><NextContinuationToken>${page.at(-1)}</NextContinuationToken>`
        : "<IsTruncated>false</IsTruncated>";
    return xml(response, "ListBucketResult", entries.join("") + more);
  }

  private listUploads(query: URLSearchParams, response: ServerResponse): unknown {
    const prefix = query.get("prefix") ?? "";
    const after = `${query.get("key-marker") ?? ""}\n${query.get("upload-id-marker") ?? ""}`;
    const all = [...this.uploads]
      .filter(([, { key }]) => key.startsWith(prefix))
      .map(([id, { key }]) => ({ id, key, at: `${key}\n${id}` }))
      .filter(({ at }) => at > after)
      .sort((a, b) => (a.at < b.at ? -1 : 1));
    const page = all.slice(0, this.pageSize);
    const last = page.at(-1);
    const entries = page.map(({ id, key }) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`);
    const more =
      last !== undefined && page.length < all.length
        ? `<IsTruncated>true</IsTruncated><NextKeyMarker>${last.key}</NextKeyMarker><NextUploadIdMarker>${last.id}</NextUploadIdMarker>`
        : "<IsTruncated>false</IsTruncated>";
    return xml(response, "ListMultipartUploadsResult", entries.join("") + more);
  }
}

function askedOf(method: string, key: string, query: URLSearchParams, bytes: number): AskedOf {
  const isObject = key !== "";
  const whats: Readonly<Record<string, AskedOf["what"]>> = isObject
    ? {
        PUT: query.has("uploadId") ? "part" : "put",
        GET: "get",
        DELETE: query.has("uploadId") ? "abort" : "delete",
        POST: query.has("uploads") ? "begin" : "complete",
      }
    : { GET: query.has("uploads") ? "uploads" : query.has("versioning") ? "other" : "list" };
  return { what: whats[method] ?? "other", key: isObject ? key : (query.get("prefix") ?? ""), bytes };
}

function etag(body: Buffer): string {
  return `"${createHash("md5").update(body).digest("hex")}"`;
}

function xml(response: ServerResponse, name: string, inside: string): void {
  response.setHeader("Content-Type", "application/xml");
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n<${name}>${inside}</${name}>`);
}

function refuse(response: ServerResponse, { code, status, more = {} }: Verdict): void {
  response.writeHead(status, { "Content-Type": "application/xml" });
  const facts = Object.entries({ Code: code, Message: `refused: ${code}`, ...more });
  const inside = facts.map(([name, value]) => `<${name}>${value}</${name}>`).join("");
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error>${inside}</Error>`);
}
