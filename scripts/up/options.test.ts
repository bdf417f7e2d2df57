import { expect, test } from "vitest";
import { parseUpOptions } from "./options.ts";

test("without arguments the server's own settings count", () => {
  expect(parseUpOptions([], "/home/me")).toEqual({ once: false, overrides: {} });
});

test("port and data directory become settings, the directory absolute and the database inside it", () => {
  expect(parseUpOptions(["--once", "--port", "0", "--data", "d"], "/home/me")).toEqual({
    once: true,
    overrides: { "server.port": "0", data_dir: "/home/me/d" },
  });
});

test("an unknown argument and a missing value are refused", () => {
  for (const argv of [["--nonsense"], ["--port"], ["extra"]])
    expect(() => parseUpOptions(argv, "/")).toThrow(TypeError);
});
