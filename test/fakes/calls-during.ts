import { createHook } from "node:async_hooks";

/** How often this process itself asked the file system for something while that was done. */
export async function callsDuring(work: () => Promise<unknown>): Promise<number> {
  let calls = 0;
  const hook = createHook({
    init(_id, type) {
      if (type.startsWith("FSREQ")) calls++;
    },
  }).enable();
  await work();
  hook.disable();
  return calls;
}
