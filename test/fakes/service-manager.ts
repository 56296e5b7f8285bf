import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { until } from "./until.ts";

/** One datagram, and who sent it by the kernel's word. */
export interface Word {
  readonly text: string;
  readonly pid: number;
}

/** A socket as a service manager has it. */
export interface Words {
  readonly socket: string;
  readonly all: readonly Word[];
  until(condition: (all: readonly Word[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

/**
 * Node has no unix datagrams, and what we send with is not to be checked by itself. Descriptors that come
 * along are closed unseen.
 */
const LISTENER = `
import json, os, socket, struct, sys
name = sys.argv[1]
if name.startswith("/") and os.path.exists(name):
    os.unlink(name)
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps({"text": "", "pid": 0}), flush=True)
while True:
    data, extra, flags, addr = s.recvmsg(65536, socket.CMSG_SPACE(12))
    pid = 0
    for level, kind, value in extra:
        if kind == 2:
            pid = struct.unpack("iII", value[:12])[0]
        elif kind == 1:
            for (fd,) in struct.iter_unpack("i", value[:len(value) // 4 * 4]):
                os.close(fd)
    print(json.dumps({"text": data.decode(), "pid": pid}), flush=True)
`;

/** Listens by python3 at a path or, with an `@` in front, at an abstract name. */
export async function listenForWords(socket: string): Promise<Words> {
  const child: ChildProcess = spawn("python3", ["-c", LISTENER, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const all: Word[] = [];
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split("\n");
    text = lines.pop() ?? "";
    all.push(...lines.map((line) => JSON.parse(line) as Word));
  });
  await until("somebody listens", () => all.length > 0 || child.exitCode !== null);
  if (all.shift() === undefined) throw new Error(`python3 could not listen at ${socket}`);
  return {
    socket,
    all,
    until: (condition) => until("the service manager heard it", () => condition(all)),
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
