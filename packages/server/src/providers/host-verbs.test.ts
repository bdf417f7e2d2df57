import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { busyboxImage, makeTestHost } from "./host.testing.ts";
import { hostHelper } from "./host-helper.ts";
import { hostSnapshot, leftBehind } from "./host-snapshot.testing.ts";

const signal = () => AbortSignal.timeout(20_000);

/** Settings of the kernel that a probe could have been tempted to mend. */
const settings = async (): Promise<Record<string, string>> => {
  const found: Record<string, string> = {};
  for (const directory of ["/proc/sys/user", "/proc/sys/net/ipv4", "/proc/sys/fs", "/proc/sys/kernel"]) {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      // These count what happens on the host meanwhile, or are made anew at each reading.
      const counts = /-state$|-nr$|^(uuid|random|ns_last_pid|pty|seccomp|nr_|.*_nr$|tainted)/.test(entry.name);
      if (!entry.isFile() || counts) continue;
      const path = join(directory, entry.name);
      found[path] = await readFile(path, "utf8").catch(() => "");
    }
  }
  return found;
};

test("a probe, and looking at sandboxes that aren't there, change nothing on the host", async () => {
  const host = await makeTestHost();
  try {
    await busyboxImage(join(host.dataRoot, "images/busybox"));
    await using helper = hostHelper(host);
    expect(await helper.call("list", {}, signal())).toEqual([]); // From here on the program runs and its directories are there.
    const before = await hostSnapshot(host);
    const settingsBefore = await settings();
    const { missing } = await helper.call("probe", {}, signal());
    expect(Object.keys(missing).sort()).toEqual(["egress", "mock", "oci", "proot"]);
    for (const verb of ["inspect", "usage"] as const) {
      await expect(helper.call(verb, { sandbox_id: "sb-0123456789abcdef" }, signal())).rejects.toThrow(/is not here/);
    }
    await helper.call("destroy", { sandbox_id: "sb-0123456789abcdef" }, signal());
    const after = await hostSnapshot(host);
    expect(leftBehind(before, after)).toEqual([]);
    expect(leftBehind(after, before)).toEqual([]);
    expect(await settings()).toEqual(settingsBefore);
  } finally {
    await rm(host.dataRoot, { recursive: true });
  }
});
