import { expect, it } from "vitest";
import { bwrapArguments, madeUpFiles, type SandboxPlan } from "../../../src/backends/sandbox/bwrap-args.ts";

const PLAN: SandboxPlan = {
  dirs: {
    cell: "/m/c",
    worktree: "/m/c/worktree",
    artifacts: "/m/c/artifacts",
    home: "/m/c/home/allegro",
    brief: "/m/c/config/brief.md",
    prompt: "/m/c/config/prompts/1.md",
    mirror: "/d/mirrors/1.git",
  },
  role: "executor",
  network: "none",
  paths: ["/opt/agent"],
  host: {
    roots: [
      { path: "/bin", link: "usr/bin" },
      { path: "/lib", link: null },
    ],
    etc: ["ld.so.cache", "ssl/certs"],
    hosts: "127.0.0.1 localhost\n10.0.0.1 inner",
  },
  ids: { uid: 700_000, gid: 700_000 },
  gate: null,
};
/** One option a line. */
const lines = (plan: SandboxPlan) => bwrapArguments(plan).join(" ").replaceAll(" --", "\n--");

it("names everything that exists inside, and nothing else", () => {
  expect(lines(PLAN)).toMatchInlineSnapshot(`
    "--unshare-user
    --disable-userns
    --unshare-pid
    --unshare-ipc
    --unshare-uts
    --unshare-cgroup-try
    --unshare-net
    --cap-drop ALL
    --new-session
    --die-with-parent
    --hostname lazarus
    --ro-bind /usr /usr
    --symlink usr/bin /bin
    --ro-bind /lib /lib
    --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache
    --ro-bind-try /etc/ssl/certs /etc/ssl/certs
    --perms 0444
    --ro-bind-data 7 /etc/passwd
    --perms 0444
    --ro-bind-data 8 /etc/group
    --perms 0444
    --ro-bind-data 9 /etc/hosts
    --proc /proc
    --dev /dev
    --perms 1777
    --size 268435456
    --tmpfs /dev/shm
    --perms 1777
    --size 2147483648
    --tmpfs /tmp
    --symlink ../tmp /var/tmp
    --dir /run
    --ro-bind /opt/agent /opt/agent
    --ro-bind-try /d/mirrors/1.git/objects /d/mirrors/1.git/objects
    --ro-bind-try /m/c/config/brief.md /m/c/config/brief.md
    --ro-bind /m/c/config/prompts/1.md /m/c/config/prompts/1.md
    --bind /m/c/worktree /m/c/worktree
    --bind /m/c/artifacts /m/c/artifacts
    --bind /m/c/home/allegro /m/c/home/allegro
    --perms 0444
    --ro-bind-data 6 /run/lazarus/begin
    --remount-ro /proc
    --remount-ro /dev
    --remount-ro /
    --chdir /m/c/worktree"
  `);
});

it("takes the worktree for reading only where the agent observes", () => {
  const seen = lines({ ...PLAN, role: "observer" });
  expect(seen).toContain("\n--ro-bind /m/c/worktree /m/c/worktree\n");
  expect(seen).not.toContain("\n--bind /m/c/worktree");
});

it("shares the network, and how names are found in it, only where it is full", () => {
  const seen = lines({ ...PLAN, network: "full" });
  expect(seen).not.toContain("--unshare-net");
  expect(seen).toContain("\n--ro-bind-try /etc/resolv.conf /etc/resolv.conf\n");
  expect(madeUpFiles({ ...PLAN, network: "full" })[2]).toContain("inner");
  expect(madeUpFiles(PLAN)[2]).not.toContain("inner");
});

it("leads to the gate where the network is a list", () => {
  const gate = { dir: "/m/c/gate/allegro", node: "/n/node" };
  const seen = lines({ ...PLAN, network: ["example.org"], gate });
  expect(seen).toContain("\n--unshare-net\n");
  expect(seen).toContain(
    "\n--ro-bind /m/c/gate/allegro /run/lazarus/gate\n--ro-bind /n/node /run/lazarus/node\n",
  );
  expect(seen).toContain("\n--setenv HTTPS_PROXY http://127.0.0.1:3128\n");
});

it("makes up users that no odd home can forge", () => {
  const home = "/m/c/home/a\nroot::0:0";
  expect(madeUpFiles({ ...PLAN, dirs: { ...PLAN.dirs, home } })[0]?.split("\n")).toHaveLength(3);
  expect(madeUpFiles({ ...PLAN, ids: { uid: 0, gid: 0 } })[0]).toMatch(
    /^root:x:0:0:allegro:\/m\/c\/home\/allegro:\/bin\/sh\nnobody/,
  );
});
