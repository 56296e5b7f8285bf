import { describe, expect, it } from "vitest";
import {
  asListed,
  forwardsOf,
  isPublicAddress,
  judge,
  parseEndpoint,
} from "../../../src/backends/sandbox/gate-rules.ts";

describe("a target", () => {
  it.each([
    ["API.Example.org:443", { host: "api.example.org", port: 443 }],
    ["example.org.:80", { host: "example.org", port: 80 }],
    ["[2001:DB8::1]:443", { host: "2001:db8::1", port: 443 }],
    ["10.0.0.1:8080", { host: "10.0.0.1", port: 8080 }],
    ["[0:0::0:1]:8080", { host: "::1", port: 8080 }],
  ])("is read from %s", (text, target) => expect(parseEndpoint(text)).toEqual(target));

  it.each([
    "",
    "example.org",
    "example.org:0",
    "example.org:65536",
    "example.org:x",
    ":443",
    "a b:443",
    "user@example.org:443",
    "2001:db8::1:443",
    "[example.org]:443",
    "example.org:443/path",
    `${"a".repeat(254)}:443`,
    "example.org\n:443",
  ])("is not read from %j", (text) => expect(parseEndpoint(text)).toBeNull());
});

describe("a list of hosts", () => {
  const hosts = [
    "api.example.org",
    "*.Example.net",
    "models.lan:8000",
    "*.lan:81",
    "10.0.0.5:8080",
    "10.0.0.6",
    "[2001:db8::1]:8443",
  ];
  it.each([
    ["api.example.org:443", "public"],
    ["API.EXAMPLE.ORG:80", "public"],
    ["api.example.org:22", "refused"],
    ["x.api.example.org:443", "refused"],
    ["example.org:443", "refused"],
    ["a.example.net:443", "public"],
    ["a.b.example.net:443", "public"],
    ["example.net:443", "refused"],
    ["evilexample.net:443", "refused"],
    ["models.lan:8000", "anywhere"],
    ["models.lan:443", "refused"],
    ["a.lan:81", "public"],
    ["a.lan:80", "refused"],
    ["10.0.0.5:8080", "anywhere"],
    ["10.0.0.5:80", "refused"],
    ["10.0.0.6:80", "refused"],
    ["[2001:DB8:0::1]:8443", "anywhere"],
    ["[2001:db8::1]:443", "refused"],
    ["127.1:80", "refused"],
    ["2130706433:80", "refused"],
    ["0x7f.0.0.1:80", "refused"],
  ])("says of %s: %s", (text, verdict) => {
    const target = parseEndpoint(text);
    expect(target && judge(target, hosts)).toBe(verdict);
  });
});

describe("a listed port of this machine's loopback", () => {
  const at = (host: string, port: number, target: string) => ({ host, port, target });

  it.each([
    [["127.0.0.1:1234"], [at("127.0.0.1", 1234, "127.0.0.1:1234"), at("::1", 1234, "127.0.0.1:1234")]],
    [["localhost:1234"], [at("127.0.0.1", 1234, "localhost:1234"), at("::1", 1234, "localhost:1234")]],
    [["[::1]:1234"], [at("127.0.0.1", 1234, "[::1]:1234"), at("::1", 1234, "[::1]:1234")]],
    [
      ["[::1]:1234", "127.0.0.1:1234", "localhost:1234"],
      [at("127.0.0.1", 1234, "127.0.0.1:1234"), at("::1", 1234, "[::1]:1234")],
    ],
    [["127.0.0.2:1234"], [at("127.0.0.2", 1234, "127.0.0.2:1234")]],
    [["api.example.org", "10.0.0.5:8080", "models.lan:1234", "*.example.org", "localhost"], []],
  ])("of %j is found inside at %j", (hosts, forwards) => expect(forwardsOf(hosts)).toEqual(forwards));

  it.each([
    ["127.0.0.1:1234", ["localhost:1234"], { host: "localhost", port: 1234 }],
    ["localhost:1234", ["127.0.0.1:1234"], { host: "127.0.0.1", port: 1234 }],
    ["[::1]:1234", ["127.0.0.1:1234"], { host: "127.0.0.1", port: 1234 }],
    ["localhost:1235", ["127.0.0.1:1234"], null],
    ["127.0.0.2:1234", ["127.0.0.1:1234"], null],
    ["0.0.0.0:1234", ["127.0.0.1:1234"], null],
    ["[::ffff:127.0.0.1]:1234", ["127.0.0.1:1234"], null],
    ["localhost.example.org:1234", ["127.0.0.1:1234"], null],
  ])("is what %s stands for in %j: %j", (text, hosts, listed) => {
    const target = parseEndpoint(text);
    expect(target && asListed(target, hosts)).toEqual(listed);
    if (listed === null) expect(target && judge(target, hosts)).toBe("refused");
  });
});

describe("an address", () => {
  it.each(["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"])(
    "%s is public",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
  it.each([
    ...["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1"],
    ...["172.31.255.255", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"],
    ...["::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"],
    ...["64:ff9b::7f00:1", "2001::1", "2001:db8::1", "2002:7f00:1::", "not an address", ""],
  ])("%s is not", (address) => expect(isPublicAddress(address)).toBe(false));
});
