import type { Readable } from "node:stream";
import { rootCertificates } from "node:tls";
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3";
import type { BucketConfig } from "../config/seals.ts";
import { LazarusError } from "../errors.ts";
import { bucketError } from "./bucket-words.ts";

/** One object that is there. Paths are without the prefix of the configuration. */
interface Listed {
  readonly path: string;
  readonly bytes: number;
}

interface Begun {
  readonly path: string;
  readonly id: string;
}

/** An object in parts, which is not there until it is complete. */
export interface Upload extends Begun {
  part(n: number, bytes: Buffer): Promise<void>;
  complete(): Promise<void>;
}

/** What seals need of an S3. All methods throw LazarusError. */
export interface Bucket {
  put(path: string, bytes: Buffer): Promise<void>;
  begin(path: string): Promise<Upload>;
  abort(upload: Begun): Promise<void>;
  /** Uploads that are neither complete nor aborted, of paths that begin so. */
  uploads(of: string): Promise<readonly Begun[]>;
  /** Null where it is not there. `tag`: another one whenever it was written anew. */
  read(path: string): Promise<{ body: Readable; bytes: number; tag: string } | null>;
  /** A small object; null where it is not there, or larger. */
  text(path: string, mostBytes: number): Promise<string | null>;
  list(of: string): Promise<readonly Listed[]>;
  /** The first parts of all paths, each with its slash. */
  folders(): Promise<readonly string[]>;
  remove(path: string): Promise<void>;
  /** What had better be otherwise, in words. */
  advice(): Promise<readonly string[]>;
}

const CONNECT_MS = 10_000;
/** Nothing comes while a server puts the parts of a large object together. */
const SILENT_MS = 5 * 60_000;
/** What a server says that is busy is heard so often. */
const ATTEMPTS = 4;

/**
 * The S3 of `seals`. `at`: what people call it.
 * @throws LazarusError `configuration` where the package is not installed.
 */
export async function openBucket(config: BucketConfig, at: string): Promise<Bucket> {
  const sdk = await load();
  const client: S3Client = new sdk.S3Client(settingsOf(config));
  const { bucket: Bucket, prefix } = config;
  const of = (path: string) => ({ Bucket, Key: `${prefix}${path}` });
  const without = (key: string | undefined) => (key ?? "").slice(prefix.length);

  async function trying<T>(doing: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw bucketError(error, { doing, at, config });
    }
  }
  /** Null where the object is not there. */
  async function found<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof sdk.NoSuchKey || error instanceof sdk.NotFound) return null;
      throw error;
    }
  }
  const get = (path: string) => found(() => client.send(new sdk.GetObjectCommand(of(path))));

  return {
    put: (path, Body) =>
      trying("writing", async () => {
        await client.send(new sdk.PutObjectCommand({ ...of(path), Body, ContentLength: Body.length }));
      }),
    begin: (path) =>
      trying("writing", async () => {
        const { UploadId } = await client.send(new sdk.CreateMultipartUploadCommand(of(path)));
        if (UploadId === undefined) throw new Error("it gave the upload no id");
        const parts: { PartNumber: number; ETag: string | undefined }[] = [];
        return {
          ...{ path, id: UploadId },
          part: (PartNumber, Body) =>
            trying("writing", async () => {
              const what = { ...of(path), UploadId, PartNumber, Body, ContentLength: Body.length };
              const { ETag } = await client.send(new sdk.UploadPartCommand(what));
              parts.push({ PartNumber, ETag });
            }),
          complete: () =>
            trying("writing", async () => {
              const what = { ...of(path), UploadId, MultipartUpload: { Parts: parts } };
              await client.send(new sdk.CompleteMultipartUploadCommand(what));
            }),
        };
      }),
    abort: ({ path, id: UploadId }) =>
      trying("aborting an upload", async () => {
        try {
          await client.send(new sdk.AbortMultipartUploadCommand({ ...of(path), UploadId }));
        } catch (error) {
          if (!(error instanceof sdk.NoSuchUpload)) throw error;
        }
      }),
    uploads: (path) =>
      trying("listing uploads", async () => {
        const all: Begun[] = [];
        let next: { KeyMarker?: string; UploadIdMarker?: string } | null = {};
        while (next !== null) {
          const what = { Bucket, Prefix: `${prefix}${path}`, ...next };
          const page: Page = await client.send(new sdk.ListMultipartUploadsCommand(what));
          for (const { Key, UploadId = "" } of page.Uploads ?? [])
            all.push({ path: without(Key), id: UploadId });
          const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
          next =
            page.IsTruncated === true && KeyMarker !== undefined
              ? { KeyMarker, ...(UploadIdMarker === undefined ? {} : { UploadIdMarker }) }
              : null;
        }
        return all;
      }),
    read: (path) =>
      trying("reading", async () => {
        const answer = await get(path);
        if (answer?.Body === undefined) return null;
        const { ContentLength = 0, ETag = "", LastModified } = answer;
        const tag = `${ETag} ${LastModified?.getTime()}`;
        return { body: answer.Body as Readable, bytes: ContentLength, tag };
      }),
    text: (path, mostBytes) =>
      trying("reading", async () => {
        const answer = await get(path);
        if (answer?.Body === undefined) return null;
        if ((answer.ContentLength ?? 0) <= mostBytes) return answer.Body.transformToString("utf8");
        (answer.Body as Readable).destroy();
        return null;
      }),
    list: (path) =>
      trying("listing", async () => {
        const all: Listed[] = [];
        for await (const page of pages({ Prefix: `${prefix}${path}` }))
          for (const { Key, Size = 0 } of page.Contents ?? []) all.push({ path: without(Key), bytes: Size });
        return all;
      }),
    folders: () =>
      trying("listing", async () => {
        const all: string[] = [];
        for await (const page of pages({ Prefix: prefix, Delimiter: "/" }))
          for (const { Prefix } of page.CommonPrefixes ?? []) all.push(without(Prefix));
        return all;
      }),
    remove: (path) =>
      trying("removing", async () => {
        await client.send(new sdk.DeleteObjectCommand(of(path)));
      }),
    async advice() {
      const isPlain = config.endpoint?.startsWith("http://") === true;
      // Not every server tells, and not every key may ask.
      const versions = await client
        .send(new sdk.GetBucketVersioningCommand({ Bucket }))
        .then(({ Status }) => Status ?? null)
        .catch(() => null);
      return [
        ...(isPlain && !isLoopback(config.endpoint)
          ? ["seals go there in the clear: use https:// where the network is not yours alone"]
          : []),
        ...(versions === "Enabled"
          ? [
              "the bucket keeps versions, so what is destroyed stays as an old version: let a lifecycle rule end old versions, or keep none",
            ]
          : []),
      ];
    },
  };

  async function* pages(what: { readonly Prefix: string; readonly Delimiter?: string }) {
    let ContinuationToken: string | undefined;
    do {
      const more = ContinuationToken === undefined ? {} : { ContinuationToken };
      const page: ListPage = await client.send(new sdk.ListObjectsV2Command({ Bucket, ...what, ...more }));
      yield page;
      ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }
}

type Page = import("@aws-sdk/client-s3").ListMultipartUploadsCommandOutput;
type ListPage = import("@aws-sdk/client-s3").ListObjectsV2CommandOutput;

function settingsOf({ endpoint, region, isPathStyle, keyId, secret, ca }: BucketConfig): S3ClientConfig {
  return {
    region,
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: isPathStyle,
    credentials: { accessKeyId: keyId, secretAccessKey: secret },
    ...{ maxAttempts: ATTEMPTS, retryMode: "standard" },
    // Newer checksums are not known to every S3. Seals have hashes of their own.
    ...{ requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" },
    requestHandler: {
      ...{ connectionTimeout: CONNECT_MS, socketTimeout: SILENT_MS },
      httpsAgent: { keepAlive: true, ...(ca === null ? {} : { ca: [...rootCertificates, ca] }) },
      httpAgent: { keepAlive: true },
    },
  };
}

function isLoopback(address: string | null): boolean {
  return address !== null && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(address).hostname);
}

async function load(): Promise<typeof import("@aws-sdk/client-s3")> {
  try {
    return await import("@aws-sdk/client-s3");
  } catch (error) {
    throw new LazarusError(
      "configuration",
      "seals: the package @aws-sdk/client-s3 is not installed, which s3:// needs: run npm install without --omit=optional",
      { cause: error },
    );
  }
}
