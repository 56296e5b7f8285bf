import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../src/config/config.ts";
import { RUNNER_NAME } from "../src/config/runners.ts";
import { Stage } from "./e2e/stage.ts";
import { faultsOf, type Kinds, placePod, readDocuments } from "./fakes/kubernetes.ts";
import { until } from "./fakes/until.ts";
import { needs } from "./machine.ts";
import { RedisServer } from "./scale/redis.ts";

const ROOT = resolve(import.meta.dirname, "..");
const CONTRIB = join(ROOT, "contrib");
const units = readdirSync(CONTRIB).filter((name) => /\.(service|timer)$/.test(name));

it("there is a unit for the server, the pit, a runner, and each night's backup", () => {
  expect(units.sort()).toEqual([
    "lazarus-backup.service",
    "lazarus-backup.timer",
    "lazarus-pit.service",
    "lazarus-runner.service",
    "lazarus.service",
  ]);
});

it.each(units)("%s is one that systemd takes", needs("systemd-analyze"), (name) => {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-units-"));
  try {
    for (const unit of units) copyFileSync(join(CONTRIB, unit), join(dir, unit));
    const shown = name.replace("@.", "@gpu1.");
    if (shown !== name) copyFileSync(join(dir, name), join(dir, shown));
    const words = ["verify", "--man=no", "--recursive-errors=no", join(dir, shown)];
    const { stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
    // Only systemd 254 and newer know it; the unit says so.
    const said = stderr.split("\n").filter((line) => line !== "" && !line.includes("'DelegateSubgroup'"));
    expect(said).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe("runners on Kubernetes", () => {
  const texts = ["runner.yaml", "secrets.yaml"].map((name) =>
    readFileSync(join(CONTRIB, "kubernetes", name), "utf8"),
  );
  const documents = texts.flatMap(readDocuments);
  const all = <Name extends keyof Kinds>(name: Name) =>
    documents.filter((one) => `${one.apiVersion} ${one.kind}` === name) as Kinds[Name][];
  const one = <Name extends keyof Kinds>(name: Name) => all(name)[0] as Kinds[Name];

  const set = one("apps/v1 StatefulSet");
  const config = one("v1 ConfigMap");
  const secrets = all("v1 Secret");
  const pod = set.spec.template.spec ?? { containers: [] };
  const [container = { name: "" }] = pod.containers;
  const { env = [], envFrom = [], volumeMounts = [] } = container;
  const read = parse(config.data["runner.yaml"] ?? "") as Record<string, unknown>;
  const pods = Array.from({ length: set.spec.replicas ?? 0 }, (_, index) => `${set.metadata.name}-${index}`);
  const image = new Map(
    [...readFileSync(join(ROOT, "Dockerfile"), "utf8").matchAll(/(LAZARUS_\w+)=(\S+)/g)].map(
      ([, name = "", value = ""]) => [name, value] as const,
    ),
  );
  const keysOf = (name: string | undefined) =>
    Object.keys(secrets.find((each) => each.metadata.name === name)?.stringData ?? {});

  it("are of what Kubernetes knows, each kind once, secrets apart", () => {
    expect(documents.map(({ kind }) => kind)).toEqual([
      ...["Namespace", "ConfigMap", "StatefulSet", "PodDisruptionBudget"],
      ...["Secret", "Secret"],
    ]);
    expect(faultsOf(documents)).toEqual([]);
  });

  const spoilt: readonly (readonly [what: string, from: RegExp, to: string, said: RegExp])[] = [
    ["a key of the set that is none", /podManagementPolicy/, "podManagmentPolicy", /podManagmentPolicy/],
    ["a key of the pod that is none", /enableServiceLinks/, "enableServiceLink", /enableServiceLink/],
    ["a key deep in the container that is none", /secretRef/, "secretref", /secretref/],
    ["a key of the claim that is none", /accessModes/, "accessMode", /accessMode/],
    ["a key of the budget that is none", /maxUnavailable/, "maxUnavailible", /maxUnavailible/],
    [
      "a text where a number belongs",
      /terminationGracePeriodSeconds: 30/,
      'terminationGracePeriodSeconds: "30"',
      /'string' is not assignable to type 'number'/,
    ],
    [
      "a set without a selector",
      /selector:\n {4}matchLabels: .*\n {2}template/,
      "template",
      /'selector' is missing/,
    ],
    ["a version of a kind that is none", /apps\/v1/, "apps/v1beta1", /apps\/v1beta1 StatefulSet/],
  ];
  it.each(spoilt)("%s is refused", (_, from, to, said) => {
    const text = texts[0] ?? "";
    expect(text).toMatch(from);
    expect(faultsOf(readDocuments(text.replace(from, to))).join("\n")).toMatch(said);
  });

  it("a key that stands there twice is refused", () => {
    expect(() => readDocuments(`${texts[1]}  ANTHROPIC_API_KEY: another\n`)).toThrow(/unique/);
  });

  it("call each other by names that are there", () => {
    const space = one("v1 Namespace").metadata.name;
    const within = documents.filter(({ kind }) => kind !== "Namespace");
    expect(within.map(({ metadata }) => metadata.namespace)).toEqual(within.map(() => space));
    const labels = set.spec.template.metadata?.labels;
    expect(set.spec.selector.matchLabels).toEqual(labels);
    expect(one("policy/v1 PodDisruptionBudget").spec.selector?.matchLabels).toEqual(labels);
    const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name);
    const volumes = (pod.volumes ?? []).map(({ name }) => name);
    expect(new Set(volumeMounts.map(({ name }) => name))).toEqual(new Set([...claims, ...volumes]));
    for (const { configMap, secret } of pod.volumes ?? []) {
      if (configMap !== undefined) expect(configMap.name).toBe(config.metadata.name);
      else expect(keysOf(secret?.secretName)).toEqual(["redis.password", ...pods]);
    }
    for (const { secretRef } of envFrom) expect(keysOf(secretRef?.name)).not.toEqual([]);
    expect(container.args?.[1]).toBe("/etc/lazarus/config/runner.yaml");
    expect(Object.keys(config.data)).toEqual(["runner.yaml"]);
  });

  it("a pod sees its own join line and no other", () => {
    const secret = pod.volumes?.find((each) => each.secret !== undefined)?.name;
    const seen = volumeMounts.filter(({ name }) => name === secret);
    expect(seen.map(({ mountPath, subPath, subPathExpr }) => [mountPath, subPathExpr ?? subPath])).toEqual([
      [(read.runner as Record<string, unknown>).join_file, "$(POD_NAME)"],
      [read.queue_password_file, "redis.password"],
    ]);
    expect(env).toContainEqual({
      name: "POD_NAME",
      valueFrom: { fieldRef: { fieldPath: "metadata.name" } },
    });
    for (const name of pods) expect(name).toMatch(RUNNER_NAME);
  });

  it("data and missions lie on a volume of the pod's own, which stays", () => {
    const [claim, ...others] = set.spec.volumeClaimTemplates ?? [];
    expect(others).toEqual([]);
    expect(claim?.spec?.accessModes).toEqual(["ReadWriteOncePod"]);
    expect(set.spec.persistentVolumeClaimRetentionPolicy).toEqual({
      whenScaled: "Retain",
      whenDeleted: "Retain",
    });
    const path = volumeMounts.find(({ name }) => name === claim?.metadata?.name)?.mountPath;
    // The image's variables come before the file: both must say the same.
    expect([read.data, read.missions]).toEqual([image.get("LAZARUS_DATA"), image.get("LAZARUS_MISSIONS")]);
    expect([read.data, read.missions]).toEqual([`${path}/data`, `${path}/missions`]);
  });

  it("take the image of the composition, and allow what the check of the sandbox asks of a container", () => {
    const composed = parse(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"));
    const { name, version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    expect(composed.services.lazarus.build).toBe(".");
    expect(composed.name).toBe(name);
    expect(container.image).toBe(`registry.example.org/${name}:${version}`);
    expect(composed.services.lazarus.security_opt).toEqual([
      ...["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"],
    ]);
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "Unconfined" },
      appArmorProfile: { type: "Unconfined" },
      procMount: "Unmasked",
    });
    // Kubernetes takes procMount: Unmasked with a user namespace alone.
    expect(pod.hostUsers).toBe(false);
    expect(pod.securityContext?.runAsNonRoot).toBe(true);
    for (const each of Object.values({ ...container.resources?.requests, ...container.resources?.limits }))
      expect(each).toMatch(/^\d+(m|Mi|Gi)?$/);
  });

  it("hold no secret of the forge", () => {
    for (const text of texts) expect(text).not.toMatch(/forge\.|FORGE|WEBHOOK|webhook|client_secret/);
  });

  /** What the last pod of the set finds below `root`, with these lines in its Secret. */
  const place = (root: string, lines: Readonly<Record<string, string>>, queue: string) =>
    placePod(root, pods.at(-1) ?? "", {
      set,
      config: {
        ...config,
        data: {
          "runner.yaml": (config.data["runner.yaml"] ?? "").replace(/^queue: .*$/m, `queue: ${queue}`),
        },
      },
      secrets: secrets.map((each) =>
        each.metadata.name === config.metadata.name ? { ...each, stringData: lines } : each,
      ),
    });

  it("Lazarus reads a pod's file as it stands, and the pod's own line", () => {
    const root = mkdtempSync(join(tmpdir(), "lazarus-pod-"));
    try {
      const lines = {
        "redis.password": "of-redis",
        ...Object.fromEntries(pods.map((name) => [name, `of ${name}`])),
      };
      const { env: variables, words } = place(root, lines, "redis://redis.example.org:6379/0");
      expect([words[0], ...words.slice(2)]).toEqual(["--config", "runner"]);
      const file = words[1] ?? "";
      const loaded = loadConfig({ file, env: variables, cwd: "/", needs: ["agents", "runner"] });
      expect(loaded.notices).toEqual([]);
      expect([...loaded.agents.keys()]).toEqual(["claude"]);
      expect(loaded.runner).toMatchObject({ join: `of ${pods.at(-1)}`, slots: 4 });
      expect(loaded.queue).toMatchObject({ password: "of-redis" });
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  it("a pod's runner starts with what it finds, and joins as itself", needs("redis-server"), async () => {
    const root = mkdtempSync(join(tmpdir(), "lazarus-pod-"));
    const redis = await RedisServer.start(["--requirepass", "of-redis"]);
    let stage: Stage | null = null;
    let child: ChildProcess | null = null;
    try {
      const queue = redis.url.replace("redis://", "redis://:of-redis@");
      stage = await Stage.set({ more: { queue, runner: { slots: 0 } }, agents: {} });
      const { lazarus } = stage;
      const lines: Record<string, string> = { "redis.password": "of-redis" };
      for (const name of pods)
        lines[name] = JSON.parse((await lazarus.cli("runner", "add", name, "--json")).stdout).join;
      const placed = place(root, lines, redis.url);
      expect(placed.env.LAZARUS_LISTEN).toMatch(/^127\.0\.0\.1:/);
      const words = [join(ROOT, "bin/lazarus.js"), ...placed.words];
      const env = { PATH: process.env.PATH ?? "", ...placed.env, LAZARUS_LISTEN: "127.0.0.1:0" };
      const runner = spawn(process.execPath, words, { stdio: "ignore", env });
      child = runner;
      await until("the pod's runner has joined", async () => {
        if (runner.exitCode !== null) throw new Error(`the runner ended with ${runner.exitCode}`);
        const { stdout } = await lazarus.cli("runner", "list", "--json");
        const { runners } = JSON.parse(stdout) as { runners: { name: string; version: string | null }[] };
        const joined = runners.filter(({ version }) => version != null);
        return joined.map(({ name }) => name).join() === pods.at(-1);
      });
      runner.kill("SIGTERM");
      expect(await once(runner, "exit")).toEqual([0, null]);
      expect(readdirSync(join(root, "var/lib/lazarus"))).toEqual(["data"]);
    } finally {
      child?.kill("SIGKILL");
      await stage?.strike();
      await redis.remove();
      rmSync(root, { recursive: true });
    }
  });
});
