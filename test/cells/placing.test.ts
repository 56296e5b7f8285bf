import { describe, expect, it } from "vitest";
import { choosePlace, type Host } from "../../src/cells/placing.ts";

function host(name: string, more: Partial<Host> = {}): Host {
  return {
    ...{ name, closed: null, closedToNew: null, slots: 4, busy: 0, labels: [] },
    canFetch: true,
    unfit: () => null,
    hasMirror: () => false,
    hasTree: () => false,
    ...more,
  };
}

const wanted = { agent: "allegro", runsOn: [], repositoryId: 7, on: null, isStored: false };

describe("a new cell", () => {
  it("goes where a tree waits for it, then to a runner that has the mirror, then to the one with most places", () => {
    const [a, b] = [host("a", { busy: 1 }), host("b")];
    expect(choosePlace([a, b], wanted)).toEqual({ runner: "b" });
    const warm = host("c", { busy: 3, hasMirror: (id) => id === 7 });
    expect(choosePlace([a, b, warm], wanted)).toEqual({ runner: "c" });
    expect(choosePlace([a, b, { ...warm, busy: 4 }], wanted)).toEqual({ runner: "b" });
    const ready = { ...warm, name: "d", hasTree: (id: number) => id === 7 };
    expect(choosePlace([a, b, warm, ready], wanted)).toEqual({ runner: "d" });
    expect(choosePlace([a, b, warm, ready], { ...wanted, repositoryId: 8 })).toEqual({ runner: "b" });
  });

  it("goes nowhere that lacks the agent, its labels, a place or anybody to hear, and is told why by each", () => {
    const hosts = [
      host("full", { busy: 4 }),
      host("away", { closed: "away has not been heard for 4m" }),
      host("other", { unfit: (agent) => `has no agent ${agent}` }),
      host("drained", { closedToNew: "it is being drained" }),
    ];
    expect(choosePlace(hosts, wanted)).toEqual({
      why: "full: all 4 places are taken; away: away has not been heard for 4m; other: has no agent allegro; drained: it is being drained",
    });
    expect(choosePlace([host("plain")], { ...wanted, runsOn: ["gpu"] })).toEqual({
      why: "plain: has no label gpu",
    });
    expect(
      choosePlace([host("plain"), host("big", { labels: ["gpu"] })], { ...wanted, runsOn: ["gpu"] }),
    ).toEqual({
      runner: "big",
    });
  });

  it("is told what to do where there is no runner, and this host takes none", () => {
    expect(choosePlace([host("local", { slots: 0 })], wanted)).toEqual({
      why: "there is no runner: lazarus runner add NAME",
    });
  });
});

describe("a cell that lies somewhere", () => {
  it("goes on there, also where no new ones go, and nowhere else", () => {
    const hosts = [host("a"), host("b", { closedToNew: "it is being drained" })];
    expect(choosePlace(hosts, { ...wanted, on: "b" })).toEqual({ runner: "b" });
    expect(choosePlace(hosts, { ...wanted, on: "c" })).toEqual({ why: "its runner c is not here" });
    const away = host("b", { closed: "b has not been heard for 4m" });
    expect(choosePlace([host("a"), away], { ...wanted, on: "b" })).toEqual({
      why: "b has not been heard for 4m",
    });
    expect(choosePlace([host("b", { busy: 4 })], { ...wanted, on: "b" })).toEqual({
      why: "all 4 places of b are taken",
    });
  });
});

describe("a cell whose seal control keeps", () => {
  const stored = { ...wanted, on: "b", isStored: true };
  it("goes back to its runner while that takes cells, and waits there for a place", () => {
    expect(choosePlace([host("a"), host("b")], stored)).toEqual({ runner: "b" });
    expect(choosePlace([host("a"), host("b", { busy: 4 })], stored)).toEqual({
      why: "all 4 places of b are taken",
    });
  });

  it.each([
    ["away", [host("a"), host("b", { closed: "not heard" })]],
    ["drained", [host("a"), host("b", { closedToNew: "it is being drained" })]],
    ["forgotten", [host("a")]],
  ])("goes to another one where its own is %s", (_, hosts) => {
    expect(choosePlace(hosts, stored)).toEqual({ runner: "a" });
  });

  it("goes to none that is too old to fetch it, and waits in words", () => {
    const hosts = [host("a", { canFetch: false }), host("b", { closed: "not heard" })];
    expect(choosePlace(hosts, stored)).toEqual({
      why: "a: is too old to bring back what is stored: upgrade it; b: not heard",
    });
  });
});
