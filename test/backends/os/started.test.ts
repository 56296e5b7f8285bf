import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { PROGRAMS } from "../../fakes/programs.ts";

it("outlives that it has no descriptor left to start a child, and is to try again", async () => {
  const script = 'ulimit -n 64; exec "$0" "$1"';
  const words = ["-c", script, process.execPath, PROGRAMS.noDescriptors.built];
  // Where a clock went on, it would not end.
  const { stdout } = await promisify(execFile)("/bin/sh", words);
  const why = "no file descriptor is left (raise LimitNOFILE)";
  const failed = (doing: string, program: string) => [
    ...["internal", true],
    expect.stringMatching(new RegExp(`^${doing}: ${program} cannot be started: `)),
  ];
  expect(stdout).toContain(why);
  expect(JSON.parse(stdout)).toEqual({
    worker: failed("working", "/bin/sh"),
    scan: failed("looking for secrets", process.execPath),
    count: failed("counting", "/bin/sh"),
    owner: failed("giving .* to its user", "/bin/sh"),
    tar: failed("packing", ".*/tar"),
    git: failed("asking", "git"),
    remote: failed("fetching", "git"),
  });
});
