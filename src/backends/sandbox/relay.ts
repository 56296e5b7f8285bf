import { GATE_INSIDE, RELAY_PORT } from "./bwrap-args.ts";
import type { Forward } from "./gate-rules.ts";

/**
 * The text of the program inside a sandbox that leads to its gate, for `node -e`. It listens on the sandbox's
 * own loopback: where clients look for a proxy, and on each listed port of this machine's loopback, for
 * clients that use none. It decides nothing: for such a port it asks the gate as any client would, and hands
 * on what the gate says. It says `ready` when it listens everywhere, leaves where it cannot, and outlives a
 * TERM: the agent may need it to end well.
 *
 * 1 must not become a socket, which libuv does not bear. A sandbox without IPv6 does without `::1`.
 */
export function relayText(forwards: readonly Forward[]): string {
  return `
const { connect, createServer } = require("node:net");
const { closeSync, openSync, writeSync } = require("node:fs");
const forwards = ${JSON.stringify(forwards)};
const open = { allowHalfOpen: true };
const MOST_HEAD = 65536;
for (const name of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(name, () => {});
function join(inner, outer) {
  inner.pipe(outer).pipe(inner);
}
function ask(inner, outer, target) {
  let head = Buffer.alloc(0);
  outer.write("CONNECT " + target + " HTTP/1.1\\r\\nHost: " + target + "\\r\\n\\r\\n");
  outer.on("end", () => inner.end());
  outer.on("data", function look(chunk) {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\\r\\n\\r\\n");
    if (end < 0) return void (head.length > MOST_HEAD && outer.destroy());
    outer.removeListener("data", look);
    const isOpen = /^HTTP\\/1\\.1 200 /.test(head.toString("latin1", 0, end));
    inner.write(isOpen ? head.subarray(end + 4) : head);
    if (isOpen) join(inner, outer);
    else outer.pipe(inner.resume());
  });
}
let waiting = forwards.length + 1;
function oneListens() {
  waiting -= 1;
  if (waiting > 0) return;
  writeSync(1, "ready");
  closeSync(1);
  openSync("/dev/null", "w");
}
function listen(host, port, begin) {
  const server = createServer(open, (inner) => {
    const outer = connect({ path: "${GATE_INSIDE}/socket", ...open });
    for (const [one, other] of [[inner, outer], [outer, inner]]) one.on("error", () => other.destroy());
    begin(inner, outer);
  });
  server.once("error", (error) => {
    const isMissing = host === "::1" && (error.code === "EADDRNOTAVAIL" || error.code === "EAFNOSUPPORT");
    if (isMissing) oneListens();
    else process.exit(1);
  });
  server.listen({ host, port, ipv6Only: true }, oneListens);
}
listen("127.0.0.1", ${RELAY_PORT}, join);
for (const { host, port, target } of forwards) listen(host, port, (inner, outer) => ask(inner, outer, target));
`;
}
