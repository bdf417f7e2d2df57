import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect } from "vitest";
import { contentOf, type ProviderSuite, sh, signal } from "./suite.testing.ts";

const uploadId = (): string => `up-${randomBytes(8).toString("hex")}`;
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
/** What the agent holds at once, as its own bound says. */
const uploadsMax = 16;

/** Files that arrive in pieces, through the guest interface. */
export const uploadsContract = (suite: ProviderSuite): void => {
  suite.each("a file that arrives in pieces appears whole at its commit, over an old one or a link", async (one) => {
    const { uploads } = one.guest;
    const [id, content] = [uploadId(), randomBytes(300_000)];
    await sh(one.guest, "mkdir -p /workspace/up && cd /workspace/up && echo old >real && ln -s real link");
    const begun = await uploads.begin(id, { path: "/workspace/up/link", mode: 0o640, sizeBytes: 300_000 }, signal());
    expect(begun).toMatchObject({ offset: 0, sizeBytes: 300_000 });
    expect((await uploads.append(id, 0, Readable.from([content.subarray(0, 99_999)]), signal())).offset).toBe(99_999);
    expect((await sh(one.guest, "cat /workspace/up/link")).out).toBe("old\n");
    expect((await one.guest.list("/workspace/up", signal())).map(({ path }) => path)).toEqual([
      "/workspace/up/link",
      "/workspace/up/real",
    ]);
    await expect(uploads.append(id, 0, Readable.from([content]), signal())).rejects.toMatchObject({
      reason: "upload_conflict",
      details: { offset: 99_999 },
    });
    await uploads.append(id, 99_999, Readable.from([content.subarray(99_999)]), signal());
    await expect(uploads.commit(id, "0".repeat(64), signal())).rejects.toMatchObject({ reason: "checksum_mismatch" });
    expect((await sh(one.guest, "cat /workspace/up/link")).out).toBe("old\n");
    expect(await uploads.commit(id, sha256(content), signal())).toEqual({
      sizeBytes: 300_000,
      sha256: sha256(content),
    });
    const back = await contentOf(await one.guest.readFile("/workspace/up/real", {}, signal()));
    expect(back.equals(content)).toBe(true);
    expect((await sh(one.guest, "cd /workspace/up && stat -c %a real && ls -A")).out).toBe("640\nlink\nreal\n");
    await expect(uploads.get(id, signal())).rejects.toMatchObject({ reason: "upload_not_found" });
  });

  suite.each("a sandbox holds 16 uploads at once, and one that is given up leaves no bytes", async ({ guest }) => {
    const ids = Array.from({ length: uploadsMax }, uploadId);
    const file = { path: "/workspace/many/file", mode: 0o644, sizeBytes: undefined };
    for (const id of ids) await guest.uploads.begin(id, file, signal());
    await expect(guest.uploads.begin(uploadId(), file, signal())).rejects.toMatchObject({ reason: "sandbox_limit" });
    for (const id of ids) await guest.uploads.abort(id, signal());
    expect((await sh(guest, "ls -A /workspace/many")).out).toBe("");
  });

  suite.each("a destination that became a directory meanwhile is refused at the commit", async ({ guest }) => {
    const id = uploadId();
    await guest.uploads.begin(id, { path: "/workspace/became", mode: 0o644, sizeBytes: undefined }, signal());
    await sh(guest, "mkdir /workspace/became");
    await expect(guest.uploads.commit(id, undefined, signal())).rejects.toMatchObject({ reason: "invalid_input" });
    await sh(guest, "rmdir /workspace/became");
    await guest.uploads.commit(id, undefined, signal());
    expect(await guest.stat("/workspace/became", signal())).toMatchObject({ type: "file", sizeBytes: 0 });
  });
};
