import { execFileSync, spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compareDebianVersions, parseDebianVersion } from "./debian-version.ts";

test.each([
  // Debian policy 5.6.12: "~~", "~~a", "~", the empty part, "a".
  ["1~~", "1~~a"],
  ["1~~a", "1~"],
  ["1~", "1"],
  ["1", "1a"],
  // Letters sort before non-letters.
  ["1a", "1+"],
  ["1.0", "1.0.0"],
  ["1.1.5", "1.1.12"],
  ["1.1.5+ds1-1", "1.1.5+ds1-1+b1"],
  ["1.1.5+ds1-1+b3", "1.1.5+ds1-1+deb12u1"],
  ["1.1.5+ds1-1+deb12u1", "1.1.5+ds1-1+deb12u2"],
  ["1.1.5+ds1-1+deb12u9", "1.1.5+ds1-1+deb12u10"],
  ["1.0.0~rc93+ds1-5+deb11u3", "1.0.0-1"],
  ["1.1.7-0ubuntu1~20.04.2", "1.1.7-0ubuntu1~22.04.1"],
  ["9.9-9", "1:0.1-1"],
  ["1.0", "1.0-1"],
])("%s is older than %s", (older, newer) => {
  expect(Math.sign(compareDebianVersions(older, newer))).toBe(-1);
  expect(Math.sign(compareDebianVersions(newer, older))).toBe(1);
});

test.each([
  ["1.0", "0:1.0"],
  ["1.0", "1.0-0"],
  ["1.05", "1.5"],
  ["1", "1"],
])("%s is as old as %s", (a, b) => expect(compareDebianVersions(a, b)).toBe(0));

test("an upstream version may have dashes and colons; the last dash begins the revision, the first colon ends the epoch", () => {
  expect(parseDebianVersion("2:1.0-rc1-3ubuntu2~20.04.1")).toEqual({
    epoch: 2,
    upstream: "1.0-rc1",
    revision: "3ubuntu2~20.04.1",
  });
});

const part = fc.string({ unit: fc.constantFrom(..."0123456789.+~abdeu"), maxLength: 12 });
const version = fc
  .tuple(fc.constantFrom("", "0:", "1:"), fc.nat({ max: 20 }), part, fc.option(part.filter((text) => text !== "")))
  .map(([epoch, first, rest, revision]) => `${epoch}${first}${rest}${revision === null ? "" : `-${revision}`}`);

test("the order is total: what is older than the older one is older", () => {
  fc.assert(
    fc.property(version, version, version, (a, b, c) => {
      expect(Math.sign(compareDebianVersions(a, b))).toBe(-Math.sign(compareDebianVersions(b, a)) + 0);
      const [x = a, y = b, z = c] = [a, b, c].sort(compareDebianVersions);
      expect(
        compareDebianVersions(x, y) <= 0 && compareDebianVersions(y, z) <= 0 && compareDebianVersions(x, z) <= 0,
      ).toBe(true);
    }),
  );
});

const hasDpkg = spawnSync("dpkg", ["--version"]).status === 0;

test.runIf(hasDpkg)("dpkg says the same of any two versions", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(version, version), { minLength: 20, maxLength: 20 }), (pairs) => {
      const ask = pairs.map(([a, b]) => `dpkg --compare-versions '${a}' lt '${b}' && echo lt || echo ge`).join("\n");
      const said = execFileSync("sh", ["-c", ask], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
      const own = pairs.map(([a, b]) => (compareDebianVersions(a, b) < 0 ? "lt" : "ge"));
      expect(said.trim().split("\n")).toEqual(own);
    }),
    { numRuns: 15 },
  );
});
