import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Config } from "../config/schema.ts";
import { createDiskSpace } from "../telemetry/disk-space.ts";
import { type Finding, findingsOf } from "./finding.ts";
import type { Host } from "./host.ts";

const { ok, warn, fail } = findingsOf("data");

/** Whether the directories can be used, by this user and by those that sandboxes are mapped to, and what room they have. */
export async function dataFindings(host: Host, config: Config): Promise<readonly Finding[]> {
  const { dataDir } = config;
  const there = nearest(dataDir);
  const isMade = there === dataDir;
  const folder = isMade
    ? host.isWritable(dataDir)
      ? ok("directory", `${dataDir} can be written`)
      : fail(
          "directory",
          `${dataDir} can't be written by this user`,
          `give it to the server's user: chown <user> ${dataDir}`,
        )
    : host.isWritable(there)
      ? ok("directory", `${dataDir} isn't there yet; the first start makes it`)
      : fail(
          "directory",
          `${dataDir} isn't there, and this user can't make it in ${there}`,
          `make it: mkdir -p ${dataDir} && chown <user> ${dataDir}`,
        );
  return [folder, ...openness(dataDir, isMade), ...passable(host, config, there), ...(await room(config))];
}

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

function openness(dataDir: string, isMade: boolean): readonly Finding[] {
  if (!isMade || (modeOf(dataDir) & 0o002) === 0) return [];
  return [
    fail("permissions", `${dataDir} can be written by every user of this host`, `close it: chmod 0711 ${dataDir}`),
  ];
}

function passable(host: Host, { providers }: Config, there: string): readonly Finding[] {
  if (!providers.oci.enabled || host.uid !== 0) return [];
  const blocked: string[] = [];
  // The data directory itself is set to 0711 at each start.
  for (let at = dirname(there); ; at = dirname(at)) {
    if ((modeOf(at) & 0o001) === 0) blocked.push(at);
    if (at === dirname(at)) break;
  }
  if (blocked.length === 0)
    return [ok("passable", "the users that sandboxes are mapped to can pass to their directories")];
  return [
    fail("passable", `sandboxes' users can't pass ${blocked.join(", ")}`, `let them: chmod o+x ${blocked.join(" ")}`),
  ];
}

async function room({ dataDir, images, providers, disk }: Config): Promise<readonly Finding[]> {
  const directories = { data: dataDir, images: images.storeDir, sandboxes: providers.oci.stateDir };
  const disks = await createDiskSpace({ directories, minFree: disk.minFree }).read();
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const low = disks.filter(({ isLow }) => isLow);
  if (low.length === 0) {
    const least = disks.toSorted((a, b) => a.freeBytes - b.freeBytes)[0];
    return [
      ok(
        "space",
        least === undefined ? "the disks can't be asked" : `${gib(least.freeBytes)} free of ${gib(least.totalBytes)}`,
      ),
    ];
  }
  return low.map(({ use, freeBytes, floorBytes }) =>
    warn(
      `space-${use}`,
      `the disk for ${use} has ${gib(freeBytes)} free, less than the ${gib(floorBytes)} of disk.min_free: spawns are refused`,
      "free some: stacyvm image gc, or lower disk.min_free",
    ),
  );
}

/** The directory, or the nearest one above it that is there. */
function nearest(path: string): string {
  for (let at = path; ; at = dirname(at)) {
    if (statSync(at, { throwIfNoEntry: false }) !== undefined || at === dirname(at)) return at;
  }
}
