import { expect, it } from "vitest";
import { parseEngineAddress } from "./address.ts";

it.each([
  ["/run/own.sock", false, { kind: "socket", path: "/run/own.sock" }],
  ["unix:///var/run/docker.sock", false, { kind: "socket", path: "/var/run/docker.sock" }],
  ["tcp://127.0.0.1:1234", false, { kind: "tcp", host: "127.0.0.1", port: 1234 }],
  ["tcp://localhost", false, { kind: "tcp", host: "localhost", port: 2375 }],
  ["tcp://engine.example", true, { kind: "tcp", host: "engine.example", port: 2376 }],
  ["tcp://[::1]:99", false, { kind: "tcp", host: "::1", port: 99 }],
])("an engine at %s is found", (text, hasTls, address) => {
  expect(parseEngineAddress(text, hasTls)).toEqual(address);
});

it.each([
  ["docker.sock", "no address"],
  ["unix://run/docker.sock", "no absolute path"],
  ["ssh://root@engine", "not supported"],
  ["npipe:////./pipe/docker", "not supported"],
  ["tcp://me:secret@engine", "not host:port"],
  ["tcp://engine.example:2375", "only spoken to over TLS"],
  ["tcp://127.example.com:2375", "only spoken to over TLS"],
])("an engine at %s is refused: %s", (text, why) => {
  expect(() => parseEngineAddress(text, false)).toThrow(why);
});
