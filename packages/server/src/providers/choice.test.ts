import fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, chooseDefault, describeChoice } from "./choice.ts";
import type { IsolationClass } from "./provider.ts";

const candidate = (
  name: string,
  isolation: IsolationClass,
  missing: readonly string[] = [],
  wall?: string,
): Candidate => ({
  provider: {
    name,
    publicConfig: wall === undefined ? {} : { isolation: wall },
    capabilities: {
      isolation,
      tags: [],
      needsImage: false,
      securityProfiles: ["default"],
      networks: ["none"],
      limits: { memory: true, cpu: true, pids: true, disk: true, treeKill: "cgroup" },
    },
  },
  fingerprint: { healthy: missing.length === 0, missing },
});

test("auto takes the strongest healthy wall and says of each other why it isn't that", () => {
  const choice = chooseDefault("auto", [
    candidate("oci", "container", ["not root; start the server as root"]),
    candidate("docker", "container"),
    candidate("proot", "userspace"),
    candidate("mock", "none"),
  ]);
  expect(choice.name).toBe("docker");
  expect(describeChoice(choice)).toBe(
    "docker: chosen, the strongest healthy wall (container); oci: not healthy: not root; start the server as root; " +
      "proot: weaker than docker (userspace); mock: no wall, never chosen unless it is named",
  );
});

test("of walls that are as strong the one that comes first is taken, and the other says so", () => {
  const choice = chooseDefault("auto", [candidate("oci", "container"), candidate("docker", "container")]);
  expect(describeChoice(choice)).toBe(
    "oci: chosen, the strongest healthy wall (container); docker: as strong as oci (container), which comes first",
  );
});

test("a stronger wall is taken though it comes later, and its own word for itself is told", () => {
  const choice = chooseDefault("auto", [candidate("oci", "container"), candidate("docker", "kernel", [], "gvisor")]);
  expect(describeChoice(choice)).toBe(
    "docker: chosen, the strongest healthy wall (kernel, gvisor); oci: weaker than docker (container)",
  );
});

test("a wall whose engine maps its users to others says so", () => {
  const docker = candidate("docker", "container");
  const remapped = { ...docker, provider: { ...docker.provider, publicConfig: { userns_remap: "true" } } };
  expect(describeChoice(chooseDefault("auto", [remapped]))).toBe(
    "docker: chosen, the strongest healthy wall (container, userns-remap)",
  );
});

test("where no wall is healthy none is chosen, and each says why", () => {
  const choice = chooseDefault("auto", [candidate("mock", "none")]);
  expect([choice.name, describeChoice(choice)]).toEqual([
    "",
    "none chosen, no wall is healthy; mock: no wall, never chosen unless it is named",
  ]);
});

test("a provider that is named is taken as it is, healthy or not", () => {
  const all = [candidate("oci", "container", ["no loop devices; modprobe loop"]), candidate("mock", "none")];
  expect(describeChoice(chooseDefault("oci", all))).toBe(
    "oci: chosen, named by providers.default (container), but not healthy: no loop devices; modprobe loop; " +
      "mock: not named by providers.default (none)",
  );
  expect(describeChoice(chooseDefault("docker", all))).toMatch(
    /^none chosen, providers.default names docker, which isn't enabled; /,
  );
});

test("whatever there is, auto never takes one without a wall, nor an unhealthy one, nor one that is weaker than another", () => {
  const classes = ["none", "userspace", "container", "kernel", "microvm"] as const;
  const some = fc.array(fc.tuple(fc.constantFrom(...classes), fc.boolean()), { maxLength: 6 });
  fc.assert(
    fc.property(some, (drawn) => {
      const all = drawn.map(([isolation, healthy], at) => candidate(`p${at}`, isolation, healthy ? [] : ["x; y"]));
      const { name, verdicts } = chooseDefault("auto", all);
      const able = drawn
        .filter(([isolation, healthy]) => healthy && isolation !== "none")
        .map(([isolation]) => classes.indexOf(isolation));
      const chosen = drawn[Number(name.slice(1) || -1)];
      if (able.length === 0) expect(name).toBe("");
      else expect([chosen?.[1], classes.indexOf(chosen?.[0] ?? "none")]).toEqual([true, Math.max(...able)]);
      expect(verdicts.filter((verdict) => verdict.chosen).length).toBe(able.length === 0 ? 0 : 1);
      expect(verdicts.every(({ reason }) => reason.length > 0)).toBe(true);
    }),
  );
});
