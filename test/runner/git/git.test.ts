import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createGit, TOO_MUCH } from "../../../src/runner/git/git.ts";

const home = mkdtempSync(join(tmpdir(), "lazarus-git-"));
const remote = { url: "http://127.0.0.1:9", token: "t", caFile: null, proxyEnv: {} };
const limits = { memoryBytes: 1024 ** 3, fileBytes: 1024 ** 3, mostMs: 60_000 };
const git = createGit({ home, path: process.env.PATH ?? "", remote, redact: (text) => text, limits });

afterAll(() => rmSync(home, { recursive: true }));

it("answers all that was printed, also what is read long after the exit", async () => {
  const bin = join(home, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "git"), "#!/bin/sh\n(sleep 0.3; echo late) & echo early\n", { mode: 0o755 });
  const slow = createGit({
    home,
    path: `${bin}:${process.env.PATH}`,
    remote,
    redact: (text) => text,
    limits,
  });
  const end = await slow({ dir: home, args: ["status"], doing: "printing late" });
  expect(end).toEqual({ code: 0, stdout: "early\nlate\n", stderr: "" });
});

it("ends what prints without end, and does not try again", async () => {
  const bin = join(home, "endless");
  mkdirSync(bin);
  writeFileSync(join(bin, "git"), "#!/bin/sh\nexec cat /dev/zero\n", { mode: 0o755 });
  const endless = createGit({
    home,
    path: `${bin}:${process.env.PATH}`,
    remote,
    redact: (text) => text,
    limits,
  });
  const call = { dir: home, args: ["log"], doing: "reading", mostBytes: 1_000_000 };
  expect(await endless({ ...call, tolerant: true })).toMatchObject({ code: TOO_MUCH, stdout: "" });
  await expect(endless(call)).rejects.toMatchObject({ code: "over-limit", retryable: false });
});

it("ends what complains without end, and does not try again", async () => {
  const bin = join(home, "loud");
  mkdirSync(bin);
  const script = "#!/bin/sh\nhead -c 20000000 /dev/zero >&2\nexit 1\n";
  writeFileSync(join(bin, "git"), script, { mode: 0o755 });
  const path = `${bin}:${process.env.PATH}`;
  const loud = createGit({ home, path, remote, redact: (text) => text, limits });
  const call = { dir: home, args: ["fetch"], doing: "taking in", mostBytes: 1_000_000 };
  expect((await loud({ ...call, tolerant: true })).code).toBe(TOO_MUCH);
  await expect(loud(call)).rejects.toMatchObject({ code: "over-limit", retryable: false });
});

/** A git that is these lines of a shell, and comes before the machine's own. */
function gitThat(name: string, lines: string) {
  const bin = join(home, name);
  mkdirSync(bin);
  writeFileSync(join(bin, "git"), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  return createGit({ home, path: `${bin}:${process.env.PATH}`, remote, redact: (text) => text, limits });
}

it("has limits of its own: memory, open files, CPU, one file and no cores", async () => {
  const told = gitThat("told", "ulimit -d; ulimit -n; ulimit -S -t; ulimit -H -t; ulimit -c; ulimit -f");
  const { stdout } = await told({ dir: home, args: ["status"], doing: "asking" });
  const [cpu, file] = [4 * 60 * 60, limits.fileBytes / 512];
  expect(stdout).toBe(`${1024 ** 2}\n1024\n${cpu}\n${cpu + 60}\n0\n${file}\n`);
});

it("writes no file that is larger than its limit, and says so for good", async () => {
  const [from, to] = [join(home, "large.git"), join(home, "small.git")];
  for (const dir of [from, to])
    await git({ dir: home, args: ["init", "--bare", "-q", dir], doing: "making" });
  writeFileSync(join(home, "large.bin"), randomBytes(2 * 1024 ** 2));
  const hash = ["hash-object", "-w", "--", join(home, "large.bin")];
  const { stdout: blob } = await git({ dir: from, args: hash, doing: "making" });
  await git({ dir: from, args: ["update-ref", "refs/tags/large", blob.trim()], doing: "making" });
  const path = process.env.PATH ?? "";
  const small = { ...limits, fileBytes: 1024 ** 2 };
  const confined = createGit({ home, path, remote, redact: (text) => text, limits: small });
  const args = ["-c", "fetch.unpackLimit=1", "fetch", "-q", from, "refs/tags/large:refs/tags/large"];
  await expect(
    confined({ dir: to, args, doing: "taking in", files: true, tolerant: true }),
  ).rejects.toMatchObject({
    ...{ code: "over-limit", retryable: false },
    message: "taking in: it writes a file of more than 1 MB (limits.disk)",
  });
});

it("says for good that it came to a limit, also where it may fail", async () => {
  const busy = gitThat("busy", "echo 'error: git-index-pack died of signal 24' >&2; exit 128");
  const call = { dir: home, args: ["fetch"], doing: "taking in", tolerant: true };
  await expect(busy(call)).rejects.toMatchObject({
    ...{ code: "over-limit", retryable: false },
    message: "taking in: it computes for more than 4 hours",
  });
});

it("takes no words of a forge for a limit of this machine", async () => {
  const words = [
    "remote: big.iso: File too large",
    "remote: fatal: Out of memory, malloc failed",
    "remote: error: git-index-pack died of signal 24",
    "remote: write error: No space left on device",
    "fatal: remote error: Cannot allocate memory",
    "error: remote unpack failed: out of memory",
  ];
  const refused = gitThat(
    "refused",
    `printf '%s\\n' ${words.map((one) => `'${one}'`).join(" ")} >&2; exit 1`,
  );
  const call = { dir: home, args: ["push"], doing: "pushing", remote: true };
  expect(await refused({ ...call, tolerant: true })).toMatchObject({
    code: 1,
    stderr: `${words.join("\n")}\n`,
  });
  await expect(refused(call)).rejects.toMatchObject({ code: "git", retryable: true });
});

it("ends what git started as well, where git takes too long", async () => {
  const bin = join(home, "parent");
  const pidFile = join(home, "helper.pid");
  mkdirSync(bin);
  const script = `#!/bin/sh\nsleep 1000 &\necho $! >'${pidFile}'\nwait\n`;
  writeFileSync(join(bin, "git"), script, { mode: 0o755 });
  const path = `${bin}:${process.env.PATH}`;
  const brief = { ...limits, mostMs: 3_000 };
  const parent = createGit({ home, path, remote, redact: (text) => text, limits: brief });
  const call = { dir: home, args: ["fetch"], doing: "taking in", tolerant: true };
  await expect(parent(call)).rejects.toMatchObject({ code: "over-limit", retryable: false });
  const pid = readFileSync(pidFile, "utf8").trim();
  expect(existsSync(`/proc/${pid}/exe`)).toBe(false);
});

it("gives up, to try again, where the forge falls silent, and leaves no helper behind", async () => {
  const closed: Promise<void>[] = [];
  const mute = createServer(({ socket }) => {
    closed.push(new Promise((resolve) => socket.once("close", () => resolve())));
  });
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(mute.address() as AddressInfo).port}`;
  const path = process.env.PATH ?? "";
  const patient = createGit({ home, path, remote, redact: (text) => text, limits, silentMs: 2_000 });
  const call = { dir: home, args: ["ls-remote", `${url}/acme/app.git`], doing: "asking", remote: true };
  await expect(patient(call)).rejects.toMatchObject({
    code: "forge-unreachable",
    retryable: true,
    message: "asking: the forge sends nothing for 2 s",
  });
  expect(closed).toHaveLength(1);
  await Promise.all(closed);
  mute.close();
});

it("answers code and words of a failure that is tolerated, and throws others", async () => {
  const call = { dir: home, args: ["rev-parse", "--verify", "HEAD"], doing: "asking nowhere" };
  expect(await git({ ...call, tolerant: true })).toMatchObject({
    code: 128,
    stderr: expect.stringContaining("fatal"),
  });
  await expect(git(call)).rejects.toThrow(/^asking nowhere: git exited 128: fatal: not a git repository/);
});
