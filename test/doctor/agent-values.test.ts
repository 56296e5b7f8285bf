import { expect, it } from "vitest";
import { aboutValues } from "../../src/doctor/agent-values.ts";

const names = (env: Record<string, string>) =>
  aboutValues({ env, pass: {} }).map((one) => /value of (\w+)/.exec(one)?.[1]);

it("names values of env that look like words, and never shows them", () => {
  const env = {
    NODE_ENV: "production",
    LOCALE: "en_US.UTF-8",
    JAVA: "/usr/lib/jvm/java-21",
    VERSION: "10.20.30.40",
    WORDS: "new york city",
  };
  expect(names(env)).toEqual(Object.keys(env));
  expect(aboutValues({ env: { NODE_ENV: "production" }, pass: {} })).toEqual([
    "env: the value of NODE_ENV looks like a word. Work that shows it is never pushed: write NODE_ENV in pass, or in set, if it is no secret",
  ]);
});

it("says nothing of keys, of long phrases, and of what is too short to be looked for", () => {
  expect(
    names({
      KEY: "sk-ant-api03-abcdefgh",
      HEX: "deadbeef00112233",
      PHRASE: "correct horse battery staple",
      SHORT: "test",
      EMPTY: "",
    }),
  ).toEqual([]);
});

it("names what sounds like a secret in pass", () => {
  const pass = { DEPLOY_TOKEN: "x", NODE_ENV: "production", KEYBOARD: "us" };
  expect(aboutValues({ env: {}, pass })).toEqual([
    "pass: DEPLOY_TOKEN sounds like a secret. Work may show its value: write it in env",
  ]);
});
