import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pathsOf } from "../../../src/runner/disk/directory.ts";
import { closeWork } from "../../../src/runner/disk/guest-room.ts";
import { ensureHome, type HomePlan, openOneHome } from "../../../src/runner/disk/home.ts";

let root: string;
const template = () => join(root, "template");
const settings = () => join(root, "cell/home/allegro/own/.deep/settings.json");

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazarus-home-"));
  for (const name of ["cell/home", "cell/state", "template", "outside"])
    mkdirSync(join(root, name), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A preset that adds a line to what is there. */
const files: HomePlan["files"] = [
  {
    path: "own/.deep/settings.json",
    fill: (text) => (text === "leave\n" ? null : `${text ?? "nothing\n"}added\n`),
  },
];

async function make(): Promise<string | null> {
  const plan = { agent: "allegro", template: template(), directories: [], files, owner: null };
  await ensureHome(pathsOf(join(root, "cell")), plan);
  return existsSync(settings()) ? readFileSync(settings(), "utf8") : null;
}

describe("a file that a preset needs in a home", () => {
  it("is made where the template has none", async () => {
    expect(await make()).toBe("nothing\nadded\n");
  });

  it("is added to where the template has one, which stays as it is", async () => {
    const file = join(template(), "own/.deep/settings.json");
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, "theirs\n");
    expect(await make()).toBe("theirs\nadded\n");
    expect(readFileSync(file, "utf8")).toBe("theirs\n");
  });

  it("stays as the template has it where nothing is missing", async () => {
    mkdirSync(join(template(), "own/.deep"), { recursive: true });
    writeFileSync(join(template(), "own/.deep/settings.json"), "leave\n");
    expect(await make()).toBe("leave\n");
  });

  it("is never written through a link of the template", async () => {
    mkdirSync(join(template(), "own"));
    symlinkSync(join(root, "outside"), join(template(), "own/.deep"));
    expect(await make()).toBeNull();
    expect(existsSync(join(root, "outside/settings.json"))).toBe(false);
  });

  it("is never put in the place of a link", async () => {
    mkdirSync(join(template(), "own/.deep"), { recursive: true });
    writeFileSync(join(root, "outside/theirs"), "theirs\n");
    symlinkSync(join(root, "outside/theirs"), join(template(), "own/.deep/settings.json"));
    expect(await make()).toBe("theirs\n");
    expect(readFileSync(join(root, "outside/theirs"), "utf8")).toBe("theirs\n");
  });

  it("is made once: what the agent makes of it stays", async () => {
    await make();
    writeFileSync(settings(), "the agent's\n");
    expect(await make()).toBe("the agent's\n");
  });
});

describe("a place that an agent filled beyond measure", () => {
  const user = { uid: 1, gid: 1, groups: [1] };
  const crowd = (dir: string) => {
    mkdirSync(dir, { recursive: true });
    for (let n = 0; n < 10_001; n++) writeFileSync(join(dir, String(n)), "");
    return {
      code: "over-limit",
      retryable: false,
      message: `${basename(dir)}/ of the cell holds more than 10000 names; make it fewer`,
    };
  };

  it("is not closed one by one: what needs it closed does not begin", async () => {
    const paths = pathsOf(join(root, "cell"));
    const host = { agent: "allegro", user };
    const [home, artifacts] = [crowd(paths.home), crowd(paths.artifacts)];
    await expect(openOneHome(paths, host)).rejects.toMatchObject(home);
    await expect(closeWork(paths, host)).rejects.toMatchObject(artifacts);
  });
});
