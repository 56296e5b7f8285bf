import { LazarusError } from "../../../errors.ts";

/** The bytes of a stream, taken in the pieces that a format needs. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /**
   * Exactly `length` bytes; null where the stream is at its end. @throws LazarusError `directory` where it
   * ends in the middle.
   */
  async take(length: number): Promise<Buffer | null> {
    if (this.#rest.length === 0 && !(await this.#more())) return null;
    if (this.#rest.length >= length) return this.#cut(length);
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new LazarusError("directory", "reading an archive: it ends in the middle");
      const part = this.#cut(Math.min(missing, this.#rest.length));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** The next `length` bytes as they come. */
  async *pass(length: number): AsyncGenerator<Buffer, void> {
    let missing = length;
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#more()))
        throw new LazarusError("directory", "reading an archive: it ends in the middle");
      const part = this.#cut(Math.min(missing, this.#rest.length));
      missing -= part.length;
      yield part;
    }
  }

  /** All that is left, as it comes. */
  async *rest(): AsyncGenerator<Buffer, void> {
    while (this.#rest.length > 0 || (await this.#more())) yield this.#cut(this.#rest.length);
  }

  /** Lets go of the stream, wherever it stands. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** Reads to the end and forgets it. */
  async drain(): Promise<void> {
    for await (const _ of this.rest());
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    return true;
  }

  #cut(length: number): Buffer {
    const part = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return part;
  }
}
