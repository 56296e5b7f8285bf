import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, it } from "vitest";
import { Gate } from "./gate.ts";

it("lets nothing through while it is held, and then all of it", async () => {
  const echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  const { port } = echo.address() as AddressInfo;
  const gate = await Gate.open(port);
  const [before, direct] = [connect(gate.port, "127.0.0.1"), connect(port, "127.0.0.1")];
  const said = async (socket: typeof before, text: string) => {
    socket.write(text);
    return String((await once(socket, "data"))[0]);
  };
  expect(await said(before, "a")).toBe("a");
  gate.hold();
  const during = connect(gate.port, "127.0.0.1");
  const heard: string[] = [];
  for (const socket of [before, during]) socket.on("data", (chunk) => heard.push(String(chunk)));
  before.write("b");
  during.write("c");
  for (let time = 0; time < 50; time++) expect(await said(direct, "d")).toBe("d");
  expect(heard).toEqual([]);
  gate.release();
  while (heard.length < 2) await Promise.race([once(before, "data"), once(during, "data")]);
  expect(heard.sort()).toEqual(["b", "c"]);
  for (const socket of [before, during, direct]) socket.destroy();
  await gate.shut();
  echo.close();
});
