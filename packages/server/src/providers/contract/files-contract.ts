import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { contentOf, type ProviderSuite, signal } from "./suite.testing.ts";

/** Files through the guest interface. */
export const filesContract = (suite: ProviderSuite): void => {
  suite.each("writes, reads and lists files, and removes a full directory only when told to", async ({ guest }) => {
    const path = "/workspace/deep/er/file";
    const content = randomBytes(5000);
    await guest.writeFile(path, content, { mode: 0o640 }, signal());
    const read = await guest.readFile(path, {}, signal());
    expect(Buffer.compare(await contentOf(read), content)).toBe(0);
    expect(await guest.stat(path, signal())).toMatchObject({ path, type: "file", sizeBytes: 5000, mode: 0o640 });
    expect((await guest.list("/workspace/deep/er", signal())).map((entry) => entry.path)).toEqual([path]);
    await expect(guest.remove("/workspace/deep", { recursive: false }, signal())).rejects.toMatchObject({
      reason: "directory_needs_recursive",
    });
    await guest.remove("/workspace/deep", { recursive: true }, signal());
  });

  suite.each("finds files by pattern", async ({ guest }) => {
    for (const name of ["x/one.ts", "x/y/two.ts", "x/three.js"]) {
      await guest.writeFile(`/workspace/glob/${name}`, new Uint8Array(), {}, signal());
    }
    expect(await guest.glob("/workspace/glob/**/*.ts", signal())).toEqual([
      "/workspace/glob/x/one.ts",
      "/workspace/glob/x/y/two.ts",
    ]);
  });
};
