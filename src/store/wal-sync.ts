import { close, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";

const syncFile = promisify(fdatasync);

/**
 * Brings what was committed without waiting for the disk onto the disk, in a thread: the event loop goes on.
 * SQLite syncs the same file itself, before it writes from it into the database and where it begins anew.
 */
export class WalSync {
  readonly #fd: number;
  readonly #syncFile: (fd: number) => Promise<void>;
  /** What goes on now covers what was committed before it began. */
  #running: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(fd: number, syncFd = syncFile) {
    this.#fd = fd;
    this.#syncFile = syncFd;
  }

  /** Of a registry that is open; null where it has no write-ahead log. SQLite's locks are on other files. */
  static of(registryPath: string): WalSync | null {
    try {
      return new WalSync(openSync(`${registryPath}-wal`, "r"));
    } catch {
      return null;
    }
  }

  /** Settles once all that is committed by now is on the disk. Those that wait share the next sync. */
  sync(): Promise<void> {
    if (this.#running === null) return this.#begin();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = null;
    const running = this.#syncFile(this.#fd).finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }

  /** Closes the file after what goes on. */
  close(): void {
    const last = this.#next ?? this.#running ?? Promise.resolve();
    last.catch(() => {}).then(() => close(this.#fd));
  }
}
