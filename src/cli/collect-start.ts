import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What a start leaves behind is done by then: the first look at the forge, the first pass over the cells. */
const AFTER_MS = 1_000;

/**
 * Frees once, a moment after a start, what nothing uses any more: a server with little to do allocates so
 * little that V8 would keep it for hours (`npm run bench -- memory`).
 */
export function collectStart(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setFlagsFromString("--no-expose-gc");
  setTimeout(collect, AFTER_MS).unref();
}
