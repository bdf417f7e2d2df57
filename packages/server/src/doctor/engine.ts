import type { Mitigation } from "../releases/fixed-releases.ts";
import { openAdvisories } from "../releases/judge.ts";
import type { Finding } from "./finding.ts";
import { findingsOf } from "./finding.ts";
import { holeFindings } from "./holes.ts";

export interface EngineReleases {
  /** Of the engine's fingerprint: `docker`, `containerd` and `runc`, as far as it tells. */
  readonly versions: Readonly<Record<string, string>>;
  /** A container's root is another user on the host. */
  readonly remapsUsers: boolean;
}

/** A Docker engine and what it runs containers with, by what it says of itself, against their fixed releases. */
export function engineFindings({ versions, remapsUsers }: EngineReleases): readonly Finding[] {
  const mitigations: readonly Mitigation[] = remapsUsers ? ["user-namespace", "seccomp"] : ["seccomp"];
  return (["docker", "containerd", "runc"] as const).flatMap((component): readonly Finding[] => {
    const version = versions[component];
    if (version === undefined || version === "") return [];
    const open = openAdvisories({ component, version, packageVersion: version });
    const subject = `${component} ${version} of the engine`;
    const fine = findingsOf("runtimes").ok(`engine-${component}`, `${subject}: none of the holes in the table is open`);
    if (open.length === 0) return [fine];
    const findings = holeFindings({
      area: "runtimes",
      subject,
      open,
      mitigations,
      remedy: remapsUsers
        ? "update the engine"
        : 'update the engine, or give it a user namespace: "userns-remap" in daemon.json',
    });
    return findings.map((finding) => ({ ...finding, id: finding.id.replace("runtimes.", "runtimes.engine-") }));
  });
}
