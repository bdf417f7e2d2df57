import fc from "fast-check";
import { expect, test } from "vitest";
import { compareDebianVersions } from "./debian-version.ts";
import { advisories, type Component } from "./fixed-releases.ts";
import { openAdvisories } from "./judge.ts";

const open = (component: Component, version: string, packageVersion?: string) =>
  openAdvisories({ component, version, ...(packageVersion === undefined ? {} : { packageVersion }) }).map(
    ({ id }) => id,
  );

test("Debian's patched runc is closed to what it was patched for, and to that alone", () => {
  expect(open("runc", "1.1.5+ds1")).toContain("CVE-2024-21626");
  const patched = open("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1");
  expect(patched).not.toContain("CVE-2024-21626");
  expect(patched).toEqual(["CVE-2024-45310", "CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881", "CVE-2026-41579"]);
});

test.each([
  ["1.1.5+ds1-1+deb12u2", true],
  ["1.1.5+ds1-1+deb12u10", true],
  ["1.1.5+ds1-1+deb12u1+b1", true],
  ["1.1.5+ds1-1+b3", false],
  ["1.1.5+ds1-1", false],
  ["1.1.5+ds1-2", false],
  ["1.1.7-0ubuntu1~22.04.2", true],
  ["1.1.7-0ubuntu1~22.04.10", true],
  ["1.1.7-0ubuntu1~22.04.1", false],
  ["1.1.7-0ubuntu1~20.04.2", true],
  ["1.1.7-0ubuntu1~20.04.1", false],
  ["1.0.0~rc93+ds1-5+deb11u3", true],
  ["1.0.0~rc93+ds1-5+deb11u2", false],
  ["1.1.7-1", false],
])("the package %s has the fix of CVE-2024-21626: %s", (packageVersion, isFixed) => {
  const version = packageVersion.replace(/-[^-]*$/, "");
  expect(open("runc", version, packageVersion).includes("CVE-2024-21626")).toBe(!isFixed);
});

test.each([
  ["1.2.7", true],
  ["1.2.8", false],
  ["1.2.9", false],
  ["1.3.0", true],
  ["1.3.2", true],
  ["1.3.3-0ubuntu1~24.04.2", false],
  ["1.4.0-rc.2", true],
  ["1.4.0-rc.3", false],
  ["1.4.0", false],
  ["1.5.1", false],
  ["1.1.15", true],
])("runc %s is open to CVE-2025-31133: %s", (version, isOpen) => {
  expect(open("runc", version).includes("CVE-2025-31133")).toBe(isOpen);
});

test.each([
  ["docker", "20.10.24+dfsg1", "CVE-2024-41110", true],
  ["docker", "27.1.1", "CVE-2024-41110", false],
  ["docker", "26.1.5+dfsg1", "CVE-2024-41110", false],
  ["docker", "24.0.9", "CVE-2024-41110", true],
  ["docker", "28.2.2", "CVE-2026-41567", true],
  ["docker", "29.5.1", "CVE-2026-41567", false],
  ["containerd", "1.6.20~ds1", "CVE-2024-25621", true],
  ["containerd", "2.2.0-rc.1", "CVE-2024-25621", true],
  ["containerd", "2.1.5", "CVE-2024-25621", false],
  ["runsc", "0.0~20221219.0", "CVE-2025-2713", true],
  ["runsc", "0.0~20260101.0", "CVE-2025-2713", false],
  ["runsc", "release-20250319.0", "CVE-2025-2713", false],
  ["runsc", "release-20261012.0", "CVE-2025-2713", false],
  ["crun", "1.8.1", "CVE-2022-27650", false],
  ["crun", "1.4.3", "CVE-2022-27650", true],
  ["crun", "1.30", "CVE-2026-88264", false],
  ["linux", "5.7.19", "CVE-2022-0847", false],
  ["linux", "5.10.101", "CVE-2022-0847", true],
  ["linux", "6.1.0", "CVE-2022-0847", false],
  ["linux", "6.18.44", "CVE-2026-31431", false],
  ["linux", "6.17.13", "CVE-2026-31431", true],
  ["linux", "6.1.169", "CVE-2026-31431", true],
  ["linux", "7.1.2", "CVE-2026-31431", false],
] as const)("%s %s is open to %s: %s", (component, version, id, isOpen) => {
  expect(open(component, version).includes(id)).toBe(isOpen);
});

test("each advisory is closed in every release that it names, and names where that is said", () => {
  for (const { id, component, fixed, backports = [], source } of advisories) {
    expect(source).toMatch(/^https:\/\//);
    for (const version of fixed) expect([id, open(component, version).includes(id)]).toEqual([id, false]);
    for (const { version, source: own } of backports) {
      expect(own).toMatch(/^https:\/\//);
      expect([id, open(component, version.replace(/-[^-]*$/, ""), version).includes(id)]).toEqual([id, false]);
      expect([id, open(component, version.replace(/-[^-]*$/, "")).includes(id)]).toEqual([id, true]);
    }
  }
  expect(new Set(advisories.map(({ id, component }) => `${component} ${id}`)).size).toBe(advisories.length);
});

test("within a branch a newer release is never open to more than an older one", () => {
  const patch = fc.nat({ max: 300 });
  const branch = fc.constantFrom("1.1", "1.2", "1.3", "1.4", "5.10", "6.1", "6.18", "20.10", "29.3", "2.1");
  const component = fc.constantFrom<Component>("runc", "crun", "docker", "containerd", "linux");
  fc.assert(
    fc.property(component, branch, patch, patch, (name, line, a, b) => {
      const [older, newer] = [`${line}.${Math.min(a, b)}`, `${line}.${Math.max(a, b)}`];
      expect(compareDebianVersions(older, newer)).toBeLessThanOrEqual(0);
      const before = open(name, older);
      expect(open(name, newer).filter((id) => !before.includes(id))).toEqual([]);
    }),
  );
});
