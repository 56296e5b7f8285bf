/** What we use of the package, which brings no types. @see https://github.com/bnoordhuis/node-unix-dgram */
declare module "unix-dgram" {
  interface Socket {
    /** `error.code` is a negative errno; `callback` is called before it returns. */
    send(
      bytes: Buffer,
      offset: number,
      length: number,
      path: string,
      callback: (error?: Error & { readonly code?: number }) => void,
    ): void;
    close(): void;
  }
  const unixDgram: { createSocket(type: "unix_dgram"): Socket };
  export default unixDgram;
}
