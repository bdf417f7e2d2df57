import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Attack, isRefusal } from "./attack.ts";
import { buildEdited } from "./native-build.ts";

const nobody = 65_534;

const asNobody = (probe: string, call: string): string =>
  execFileSync(probe, ["call", call], { uid: nobody, gid: nobody, encoding: "utf8" }).trim();

/** Which of the attacks this kernel refuses to every unprivileged program anyway: ids. */
export const refusedByKernel = (attacks: readonly Attack[]): ReadonlySet<string> => {
  const directory = mkdtempSync(join(tmpdir(), "stacyvm-probe-"));
  try {
    chmodSync(directory, 0o755);
    const probe = buildEdited("wall-probe", directory);
    const refused = attacks.filter(({ call }) => call !== undefined && isRefusal(asNobody(probe, call)));
    return new Set(refused.map(({ id }) => id));
  } finally {
    rmSync(directory, { recursive: true });
  }
};
