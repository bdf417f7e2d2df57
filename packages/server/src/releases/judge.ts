import { compareDebianVersions } from "./debian-version.ts";
import { type Advisory, advisories, type Component } from "./fixed-releases.ts";

export interface Release {
  readonly component: Component;
  /** As the program says it, for example "1.1.5+ds1". */
  readonly version: string;
  /** Of the distribution's package that the program belongs to, for example "1.1.5+ds1-1+deb12u1". */
  readonly packageVersion?: string;
}

/** The advisories that this release is still open to, in the table's order. */
export function openAdvisories(release: Release, table: readonly Advisory[] = advisories): readonly Advisory[] {
  return table.filter((advisory) => advisory.component === release.component && isOpen(advisory, release));
}

function isOpen({ introduced, fixed, backports = [] }: Advisory, { version, packageVersion }: Release): boolean {
  const own = comparable(version);
  if (introduced !== undefined && compareDebianVersions(own, comparable(introduced)) < 0) return false;
  if (isAtLeast(own, fixed.map(comparable))) return false;
  return !backports.some((backport) => packageVersion !== undefined && continues(packageVersion, backport.version));
}

/** Reaches the fix of its own branch, or is newer than every branch that got one. */
function isAtLeast(version: string, fixed: readonly string[]): boolean {
  const sameBranch = fixed.filter((each) => branchOf(each) === branchOf(version));
  if (sameBranch.length > 0) return sameBranch.some((each) => compareDebianVersions(version, each) >= 0);
  return fixed.every((each) => compareDebianVersions(version, each) > 0);
}

const branchOf = (version: string): string => version.split(/[.+~]/, 2).join(".");

/** A build in the line of another that is no older: of 1.1.5+ds1-1+deb12u1 are also …deb12u2 and …deb12u1+b1. */
function continues(installed: string, patched: string): boolean {
  const line = patched.replace(/\d+$/, "");
  return installed.startsWith(line) && compareDebianVersions(installed, patched) >= 0;
}

/** What upstream and distributions write, in one spelling that orders by dpkg's rules: 1.4.0-rc.3 is before 1.4.0. */
const comparable = (version: string): string =>
  version
    .replace(/^(release-|v)/, "")
    .replace(/^0\.0~(?=\d{8})/, "")
    .replace(/-(rc|beta|alpha)\.?/, "~$1");
