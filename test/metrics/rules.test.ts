import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { FAMILIES } from "../../src/metrics/families.ts";
import { needs } from "../machine.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(resolve(ROOT, file), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly runbook: string };
}
const rules = (
  parse(read("contrib/prometheus/lazarus.rules.yml")) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);

/** Names of ours in an expression, and the labels that stand with them. */
function used(expression: string): { name: string; labels: string[] }[] {
  return [...expression.matchAll(/lazarus_(\w+)(?:\{([^}]*)\})?/g)].map(([, name = "", inside = ""]) => ({
    name: name.replace(/_(bucket|count|sum)$/, ""),
    labels: [...inside.matchAll(/(\w+)\s*[=!]/g)].map(([, label = ""]) => label),
  }));
}

/** What is used and is not there. */
function unknown(expression: string): string[] {
  return used(expression).flatMap(({ name, labels }) => {
    const family = FAMILIES.find((one) => one.name === name);
    if (family === undefined) return [`lazarus_${name}`];
    const known = [...family.labels, "instance", "job", "le"];
    return labels.filter((label) => !known.includes(label)).map((label) => `lazarus_${name}{${label}}`);
  });
}

describe("the alert rules", () => {
  it("ask only for metrics and labels that there are", () => {
    expect(rules.length).toBeGreaterThan(15);
    expect(rules.flatMap((rule) => unknown(rule.expr))).toEqual([]);
    expect(unknown('lazarus_nothing > 0 and lazarus_jobs{colour="red"}')).toEqual([
      "lazarus_nothing",
      "lazarus_jobs{colour}",
    ]);
  });

  it("lead to a paragraph of the runbook each", () => {
    const anchors = [...read("docs/runbook.md").matchAll(/^## (.*)$/gm)].map(([, heading = ""]) =>
      heading.toLowerCase().replaceAll(" ", "-"),
    );
    const wanted = rules.map((rule) => rule.annotations.runbook.replace(/^docs\/runbook\.md#/, ""));
    expect(wanted.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
    expect(anchors.filter((anchor) => !wanted.includes(anchor))).toEqual([]);
  });

  it("are tried one by one, and silent in a quiet hour", needs("promtool"), () => {
    const cwd = resolve(ROOT, "contrib/prometheus");
    const tests = parse(read("contrib/prometheus/lazarus.rules.test.yml")) as { tests: { name: string }[] };
    const names = tests.tests.map((one) => one.name);
    expect(rules.map((rule) => rule.alert).filter((alert) => !names.includes(alert))).toEqual([]);
    execFileSync("promtool", ["check", "rules", "lazarus.rules.yml"], { cwd });
    expect(
      execFileSync("promtool", ["test", "rules", "lazarus.rules.test.yml"], { cwd }).toString(),
    ).toContain("SUCCESS");
  });
});

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets?: readonly { readonly expr: string }[];
}

describe("the Grafana dashboard", () => {
  const board = JSON.parse(read("contrib/grafana/lazarus.json")) as {
    schemaVersion: number;
    uid: string;
    panels: Panel[];
    annotations: { list: { expr: string }[] };
    templating: { list: { name: string; query: unknown }[] };
  };

  it("is one that Grafana takes: ids, places, titles and targets", () => {
    expect(board).toMatchObject({ uid: "lazarus", schemaVersion: 39 });
    const ids = board.panels.map((panel) => panel.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const panel of board.panels) {
      expect(panel.gridPos.x + panel.gridPos.w).toBeLessThanOrEqual(24);
      expect(panel.title).not.toBe("");
      expect(["row", "stat", "timeseries"]).toContain(panel.type);
      if (panel.type !== "row") expect(panel.targets?.length).toBeGreaterThan(0);
    }
    expect(board.templating.list.map((one) => one.name)).toEqual(["datasource", "instance", "agent"]);
  });

  it("draws only metrics and labels that there are, and all of them but build_info and held", () => {
    const all = [
      ...board.panels.flatMap((panel) => panel.targets?.map((target) => target.expr) ?? []),
      ...board.annotations.list.map((one) => one.expr),
    ];
    expect(all.flatMap(unknown)).toEqual([]);
    expect(all.length).toBeGreaterThan(25);
  });
});
