import { expect, test } from "vitest";
import { secretHosts } from "./hosts.ts";

test("hosts are kept with a port, in lower case and ASCII, each once", () => {
  const given = ["B.Example.com", "bücher.example", "a.example.com:8443", "b.example.com.", "b.example.com:443"];
  expect(secretHosts(given)).toEqual(["a.example.com:8443", "b.example.com:443", "xn--bcher-kva.example:443"]);
});

test.each([
  ["*.example.com", "stands for many names"],
  ["203.0.113.7", "is an address"],
  ["203.0.113.0/24:443", "is an address"],
  ["[2001:db8::1]:443", "is an address"],
  ["a.example.com:1-2", "more than one port"],
  ["a.example.com:80,443", "more than one port"],
  ["https://a.example.com", "leave https:// out"],
  ["a.example.com/path", "without methods and paths"],
  ["a b.example.com", "column 1"],
  ["a.example.com:0", "column 15"],
  ["", "is empty"],
])("the host %j is refused", (host, says) => {
  expect(() => secretHosts(["good.example.com", host])).toThrow(says);
});
