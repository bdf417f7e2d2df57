import { expect, test } from "vitest";
import { checkInjectRules, destinationOf, readSecretUses } from "./secret-use.ts";

test("a use names a secret and where it goes, by HTTPS where no port says otherwise", () => {
  expect(readSecretUses(["API_KEY@API.Example.com", "_K@b\u00fccher.example:8443", "ALL"])).toEqual([
    { name: "API_KEY", to: { host: "api.example.com", port: 443 } },
    { name: "_K", to: { host: "xn--bcher-kva.example", port: 8443 } },
    { name: "ALL", to: undefined },
  ]);
});

test.each([
  ["@api.example.com", '"" is no secret\'s name'],
  ["api-key@api.example.com", '"api-key" is no secret\'s name'],
  ["1KEY", "is no secret's name"],
  ["KEY@", "column 5: is empty"],
  ["KEY@*.example.com", "stands for many names"],
  ["KEY@203.0.113.7", "is an address"],
  ["KEY@api.example.com:80,443", "more than one port"],
  ["KEY@api.example.com/v1", "without methods and paths"],
  ["KEY@api.example.com:0", "column 21"],
])("a use that can't be read is refused with its place: %s", (text, why) => {
  expect(() => readSecretUses(["OK@api.example.com", text])).toThrow("secrets[1]");
  expect(() => readSecretUses(["OK@api.example.com", text])).toThrow(why);
});

const rule = { host: "api.example.com", header: "Authorization", secret: "KEY", value: "Bearer {secret}" };

test.each([
  [{ host: "*.example.com" }, "network.inject[0].host"],
  [{ host: "api.example.com:443-444" }, "network.inject[0].host"],
  [{ header: "Host" }, "network.inject[0].header"],
  [{ header: "Transfer-Encoding" }, "network.inject[0].header"],
  [{ header: "X Key" }, "network.inject[0].header"],
  [{ header: "" }, "network.inject[0].header"],
  [{ secret: "a b" }, "network.inject[0].secret"],
  [{ value: "Bearer" }, "network.inject[0].value"],
  [{ value: "{secret}{secret}" }, "network.inject[0].value"],
  [{ value: "a\r\nX: {secret}" }, "network.inject[0].value"],
])("a header that can't be set is refused with its place: %o", (change, place) => {
  expect(() => checkInjectRules([rule])).not.toThrow();
  expect(() => checkInjectRules([{ ...rule, ...change }])).toThrow(place);
});

test("a destination has one port", () => {
  expect(destinationOf("api.example.com:8443")).toEqual({ host: "api.example.com", port: 8443 });
});
