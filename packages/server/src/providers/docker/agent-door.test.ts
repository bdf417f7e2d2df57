import { expect, test } from "vitest";
import { transportOf, transportProblems } from "./agent-door.ts";
import { readFacts } from "./engine-facts.ts";

const local = "unix:///var/run/docker.sock";
const remote = "tcp://engine.example:2376";

test.each([
  ["auto", local, false, true, "socket"],
  ["auto", "/var/run/docker.sock", false, true, "socket"],
  ["auto", local, false, false, "stream"],
  ["auto", local, true, true, "stream"],
  ["auto", remote, false, true, "stream"],
  ["auto", "tcp://127.0.0.1:2376", false, true, "stream"],
  ["socket", remote, false, true, "socket"],
  ["socket", local, false, false, "socket"],
  ["stream", local, false, true, "stream"],
] as const)(
  "%s at %s (Desktop: %s, root: %s) reaches agents by %s",
  (agentTransport, socket, isDesktop, isRoot, how) => {
    expect(transportOf({ agentTransport, socket, tlsDir: "/tls" }, isDesktop, isRoot)).toBe(how);
  },
);

const factsOf = (info: object) => readFacts({ Version: "20.10.24", ApiVersion: "1.41" }, info, "runc");
const problems = (agentTransport: "auto" | "socket" | "stream", info: object): string =>
  [...transportProblems({ agentTransport, socket: local, tlsDir: "" }, factsOf(info))].join("\n");

test("an engine out of reach is told with what would help, and one in reach is not", () => {
  const desktop = { OperatingSystem: "Docker Desktop" };
  expect(problems("socket", desktop)).toContain("set providers.docker.agent_transport to auto");
  expect(problems("auto", desktop)).toBe("");
  const [same, other] = process.arch === "arm64" ? ["aarch64", "x86_64"] : ["x86_64", "aarch64"];
  expect(problems("stream", { Architecture: same })).toBe("");
  expect(problems("stream", { Architecture: other })).toContain(`the engine's machine is ${other}`);
});
