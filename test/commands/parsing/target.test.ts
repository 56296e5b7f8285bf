import { expect, test } from "vitest";
import { parseTarget } from "../../../src/commands/parsing/target.ts";

const FORGE = "https://git.example.org/forge";

test.each([
  ["acme/app", { owner: "acme", name: "app", number: null }],
  ["acme/app.js#262", { owner: "acme", name: "app.js", number: 262 }],
  ["#262", { owner: null, name: null, number: 262 }],
  ["262", { owner: null, name: null, number: 262 }],
  ["https://git.example.org/forge/acme/app", { owner: "acme", name: "app", number: null }],
  [
    "http://GIT.example.org/forge/acme/app/issues/262#issuecomment-7",
    { owner: "acme", name: "app", number: 262 },
  ],
  ["https://git.example.org/forge/acme/app/pulls/7/files?x=1", { owner: "acme", name: "app", number: 7 }],
])("reads %s", (text, target) => {
  expect(parseTarget(text, FORGE)).toEqual(target);
});

test.each([
  "",
  "allegro",
  "acme/",
  "acme/app/x",
  "acme/app#0",
  "acme/app#-1",
  "../user",
  "acme/..",
  "acme/a b",
  "acme/app#99999999999",
  "https://git.example.org/acme/app",
  "https://git.example.org.evil.org/forge/acme/app",
  "https://git.example.org/forge/../acme/app",
  "https://git.example.org/forge/acme%2Fapp/x",
  "https://git.example.org/forge/acme/app/wiki/7",
  "https://[",
])("does not take %j for a target", (text) => {
  expect(parseTarget(text, FORGE)).toBeNull();
});
