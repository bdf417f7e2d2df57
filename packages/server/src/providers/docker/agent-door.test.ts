import { expect, test } from "vitest";
import { transportOf, transportProblems } from "./agent-door.ts";
import { readFacts } from "./engine-facts.ts";

const local = "unix:///var/run/docker.sock";
const remote = "tcp://engine.example:2376";

test.each([
  ["auto", local, false, "socket"],
  ["auto", "/var/run/docker.sock", false, "socket"],
  ["auto", local, true, "stream"],
  ["auto", remote, false, "stream"],
  ["auto", "tcp://127.0.0.1:2376", false, "stream"],
  ["socket", remote, false, "socket"],
  ["stream", local, false, "stream"],
] as const)("%s at %s (Desktop: %s) reaches agents by %s", (agentTransport, socket, isDesktop, transport) => {
  expect(transportOf({ agentTransport, socket, tlsDir: "/tls" }, isDesktop)).toBe(transport);
});

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
