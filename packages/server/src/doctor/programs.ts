import { join } from "node:path";
import { type Finding, findingsOf } from "./finding.ts";
import type { Host } from "./host.ts";

const { ok, fail } = findingsOf("programs");

const wantedNodeMajor = 24;

/** What this project brings along, and what runs it. */
export function programFindings(host: Host, nativeDir: string, nodeVersion: string): readonly Finding[] {
  const isNew = Number(/^v?(\d+)/.exec(nodeVersion)?.[1]) >= wantedNodeMajor;
  const missing = ["stacyvm-agent", "stacyvm-host"].filter((name) => !host.exists(join(nativeDir, name)));
  return [
    isNew
      ? ok("node", `Node ${nodeVersion.replace(/^v/, "")}`)
      : fail("node", `Node ${nodeVersion} is older than ${wantedNodeMajor}`, "use the one that comes along: npm ci"),
    missing.length === 0
      ? ok("native", "the agent and the host program are built")
      : fail("native", `${missing.join(" and ")} isn't built`, "build it: npm run build"),
  ];
}
