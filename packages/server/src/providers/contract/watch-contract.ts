import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import type { FolderEvent } from "../../guest/guest-watch.ts";
import { type ProviderSuite, sh, signal, until } from "./suite.testing.ts";

/** What an agent watches at once, as its own bound says. */
const watchersMax = 64;

/** A watch that tells changes from here on. */
const watching = async (guest: Guest, path: string, recursive: boolean): Promise<AsyncIterator<FolderEvent>> => {
  const events = guest.watch(path, { recursive }, signal())[Symbol.asyncIterator]();
  expect((await events.next()).value).toEqual({ type: "live" });
  return events;
};

/** What a watch tells until the change that is named, or its end. */
const told = async (events: AsyncIterator<FolderEvent>, last?: string): Promise<readonly string[]> => {
  const seen: string[] = [];
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    if (next.value.type === "keepalive") continue;
    seen.push("path" in next.value ? `${next.value.type} ${next.value.path}` : next.value.type);
    if (seen.at(-1) === last) break;
  }
  await events.return?.();
  return seen;
};

/** Changes below a folder, through the guest interface. */
export const watchContract = (suite: ProviderSuite): void => {
  suite.each("tells each kind of change in a folder, and of those below it only when told to", async ({ guest }) => {
    await sh(guest, "mkdir -p w/sub");
    const [deep, flat] = [await watching(guest, "/workspace/w", true), await watching(guest, "/workspace/w", false)];
    const script = `cd w; echo 1 > sub/a; mv sub/a sub/b; chmod 600 sub/b; rm sub/b
      mkdir new; echo 2 > new/c; mkdir end`;
    expect((await sh(guest, script)).exitCode).toBe(0);
    const last = "created /workspace/w/end";
    const below = [
      "created /workspace/w/sub/a",
      "written /workspace/w/sub/a",
      "renamed /workspace/w/sub/a",
      "created /workspace/w/sub/b",
      "mode_changed /workspace/w/sub/b",
      "removed /workspace/w/sub/b",
      "created /workspace/w/new",
      "created /workspace/w/new/c",
      last,
    ];
    const all = await told(deep, last);
    expect(all.filter((name, at) => below.includes(name) && all.indexOf(name) === at)).toEqual(below);
    expect(await told(flat, last)).toEqual(["created /workspace/w/new", last]);
    await sh(guest, "rm -rf w");
  });

  suite.each("ends a watch by saying so when its folder is removed or renamed", async ({ guest }) => {
    for (const away of ["rm -r gone", "mv gone elsewhere"]) {
      await sh(guest, "rm -rf elsewhere; mkdir gone");
      const events = await watching(guest, "/workspace/gone", true);
      await sh(guest, away);
      expect((await told(events)).at(-1), away).toBe("gone");
    }
  });

  suite.each("ends a watch that isn't read by saying that changes were lost", async ({ guest }) => {
    await sh(guest, "mkdir storm");
    const events = await watching(guest, "/workspace/storm", false);
    const storm = "cd storm; seq 1 3000 > ../names; for n in 1 2 3 4 5 6; do xargs touch < ../names; done";
    expect((await sh(guest, storm)).exitCode).toBe(0);
    const all = await told(events);
    expect(all[0]).toMatch(/^created \/workspace\/storm\/\d+$/);
    expect(all.at(-1)).toBe("overflow");
    await sh(guest, "rm -rf storm names");
  });

  suite.each("refuses to watch what is no folder, and one watch more than it holds", async ({ guest }) => {
    await expect(watching(guest, "/workspace/missing", false)).rejects.toMatchObject({ reason: "file_not_found" });
    await sh(guest, "echo x > file");
    await expect(watching(guest, "/workspace/file", false)).rejects.toMatchObject({ reason: "not_a_directory" });
    const open = await Promise.all(Array.from({ length: watchersMax }, () => watching(guest, "/tmp", false)));
    await expect(watching(guest, "/tmp", false)).rejects.toMatchObject({ reason: "sandbox_limit" });
    await Promise.all(open.map((events) => events.return?.()));
    // Each is freed once the agent sees that its reader has left.
    const again = async (): Promise<boolean> => {
      const events = await watching(guest, "/tmp", false).catch(() => undefined);
      await events?.return?.();
      return events !== undefined;
    };
    expect(await until(again, (freed) => freed)).toBe(true);
  });
};
