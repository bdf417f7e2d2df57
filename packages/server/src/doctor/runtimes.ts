import type { Remark } from "../lib/remark.ts";
import type { Component, Mitigation } from "../releases/fixed-releases.ts";
import { openAdvisories } from "../releases/judge.ts";
import { type Finding, findingsOf } from "./finding.ts";
import { holeFindings } from "./holes.ts";
import type { Host } from "./host.ts";
import { asRelease, type Program, type ProgramRelease, releasesOf } from "./release-of.ts";

const { ok, warn, fail } = findingsOf("runtimes");

type Judged = Exclude<Component, "linux">;

/** Where each is looked for when the configuration doesn't say. */
const installed: Readonly<Record<Program, readonly string[]>> = {
  runc: ["runc"],
  crun: ["crun"],
  runsc: ["runsc"],
  docker: ["dockerd"],
  containerd: ["containerd"],
  proot: ["proot"],
  qemu: ["qemu-system-x86_64", "qemu-system-aarch64"],
};

/** What every sandbox of `oci` has. */
const ociMitigations: readonly Mitigation[] = ["user-namespace", "seccomp"];

export interface RuntimeSettings {
  /** The OCI runtime that `oci` is configured with, a name or a path; undefined where the provider isn't enabled. */
  readonly ociRuntime: string | undefined;
  /** The provider `docker` is enabled: its engine tells of itself, which may be elsewhere. */
  readonly usesEngine?: boolean;
}

/** Each runtime of this machine against its fixed releases; strictly for what `oci` uses, in one line for the others. */
export async function runtimeFindings(
  host: Host,
  { ociRuntime, usesEngine = false }: RuntimeSettings,
): Promise<readonly Finding[]> {
  const used = ociRuntime === undefined ? undefined : host.find(ociRuntime);
  const elsewhere: readonly Program[] = usesEngine ? ["docker", "containerd"] : [];
  const programs = (Object.keys(installed) as Program[]).flatMap((program) => {
    if (elsewhere.includes(program)) return [];
    const path = installed[program].map((name) => host.find(name)).find((each) => each !== undefined);
    return path === undefined || path === used ? [] : [{ program, path }];
  });
  const [own, others] = await Promise.all([
    ociRuntime === undefined ? [] : usedByOci(host, ociRuntime, used),
    releasesOf(host, programs),
  ]);
  return [...own, ...others.map((found) => notUsed(found.program, found))];
}

/** What is wrong with the runtime of `oci` although it runs. Looked at anew when the file has changed; never throws. */
export function createRuntimeWarnings(host: Host, ociRuntime: string): () => Promise<readonly Remark[]> {
  let known: { readonly file: string; readonly warnings: Promise<readonly Remark[]> } | undefined;
  return async () => {
    const path = host.find(ociRuntime);
    const file = path === undefined ? undefined : host.identityOf(path);
    if (path === undefined || file === undefined) return [];
    if (known?.file !== file) known = { file, warnings: usedByOci(host, ociRuntime, path).then(remarksOf) };
    return await known.warnings;
  };
}

/** What is wrong of what was found, as a provider's warnings. */
export const remarksOf = (findings: readonly Finding[]): readonly Remark[] =>
  findings.flatMap(({ status, what, remedy }) =>
    status === "ok" ? [] : [{ what, ...(remedy === undefined ? {} : { remedy }) }],
  );

async function usedByOci(host: Host, wanted: string, path: string | undefined): Promise<readonly Finding[]> {
  if (path === undefined) {
    return [
      fail(
        "oci",
        `the OCI runtime ${wanted} isn't installed`,
        "install it: apt-get install runc, or set providers.oci.runtime",
      ),
    ];
  }
  const kinds = (["runc", "crun", "runsc"] as const).map((program) => ({ program, path }));
  const [found] = await releasesOf(host, kinds);
  if (found?.program === "runc" || found?.program === "crun" || found?.program === "runsc") {
    return judged(found.program, found, ociMitigations);
  }
  return [
    warn(
      "oci",
      `${path} doesn't say that it is runc, crun or runsc, so its holes aren't known`,
      "compare its release with its project's advisories",
    ),
  ];
}

function judged(component: Judged, found: ProgramRelease, mitigations: readonly Mitigation[]): readonly Finding[] {
  const open = openAdvisories(asRelease(component, found));
  const subject = `${component} ${versionOf(found)}`;
  if (open.length === 0) return [ok(component, `${subject}: none of the holes in the table of fixed releases is open`)];
  return holeFindings({ area: "runtimes", subject, open, mitigations, remedy: remedyOf(component, found) });
}

/** An installed program that isn't the runtime of `oci`: told, and no failure. */
function notUsed(program: Program, found: ProgramRelease): Finding {
  const subject = `${program} ${versionOf(found)} is installed`;
  if (program === "proot" || program === "qemu") return ok(program, subject);
  const open = openAdvisories(asRelease(program, found));
  const ids = open.map(({ id }) => id).join(", ");
  return open.some(({ consequence }) => consequence === "escape")
    ? warn(
        program,
        `${subject}; open to ${ids}`,
        remedyOf(program, found),
        open.map(({ source }) => source),
      )
    : ok(program, open.length === 0 ? subject : `${subject}; lacks fixes of ${ids}`);
}

const versionOf = (found: ProgramRelease): string => found.package?.version || found.version || "of unknown release";

const remedyOf = (component: Judged, found: ProgramRelease): string => {
  const newer = `a newer ${component} from its project`;
  return found.package === undefined
    ? `install ${newer}`
    : `update it: apt-get install --only-upgrade ${found.package.name}; where that brings nothing, ${newer}`;
};
