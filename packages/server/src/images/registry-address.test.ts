import { expect, test } from "vitest";
import { isInternalAddress, refuseInternalRegistry } from "./registry-address.ts";

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.31.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "::1",
  "::",
  "fe80::1",
  "fd00::1",
  "::ffff:127.0.0.1",
  "::ffff:a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
])("%s is internal", (address) => {
  expect(isInternalAddress(address)).toBe(true);
});

test.each(["1.1.1.1", "172.32.0.1", "2606:4700::1111"])("%s is not", (address) => {
  expect(isInternalAddress(address)).toBe(false);
});

test.each(["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "169.254.169.254", "2130706433", "0x7f.1"])(
  "a reference may not make the server speak to %s",
  async (registry) => {
    await expect(refuseInternalRegistry(registry)).rejects.toMatchObject({ reason: "image_pull_failed" });
  },
);
