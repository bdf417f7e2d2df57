import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect } from "vitest";
import { contentOf, type ProviderSuite, sh, signal, until } from "./suite.testing.ts";

const uploadId = (): string => `up-${randomBytes(8).toString("hex")}`;
const sha256 = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
/** What the agent holds at once, as its own bound says. */
const uploadsMax = 16;
const mebibyte = 1024 * 1024;

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
    // Whoever lost the answer asks again, and writes nothing.
    await sh(one.guest, "echo later > /workspace/up/real");
    expect(await uploads.commit(id, undefined, signal())).toEqual({ sizeBytes: 300_000, sha256: sha256(content) });
    expect((await sh(one.guest, "cat /workspace/up/link")).out).toBe("later\n");
  });

  suite.each("takes as many bytes as were announced, and is committed with no fewer", async ({ guest }) => {
    const [id, content] = [uploadId(), randomBytes(1000)];
    const { uploads } = guest;
    const file = { path: "/workspace/sized", mode: 0o644, sizeBytes: 1000 };
    await uploads.begin(id, file, signal());
    await uploads.append(id, 0, Readable.from([content.subarray(0, 999)]), signal());
    const tooFew = { reason: "upload_conflict", details: { offset: 999 } };
    await expect(uploads.commit(id, undefined, signal())).rejects.toMatchObject(tooFew);
    const tooMany = uploads.append(id, 999, Readable.from([content.subarray(999), Buffer.from("x")]), signal());
    await expect(tooMany).rejects.toMatchObject({ reason: "invalid_input" });
    expect((await uploads.get(id, signal())).offset).toBe(1000);
    expect(await uploads.commit(id, sha256(content), signal())).toMatchObject({ sizeBytes: 1000 });
  });

  suite.each("has an id of 1 to 64 letters, digits and dashes that nobody else has", async ({ guest }) => {
    const file = { path: "/workspace/named", mode: 0o644, sizeBytes: undefined };
    for (const id of ["", "a b", "a/b", "..", "é", "x".repeat(65)]) {
      await expect(guest.uploads.begin(id, file, signal()), id).rejects.toMatchObject({ reason: "invalid_input" });
    }
    const longest = randomBytes(32).toString("hex");
    await guest.uploads.begin(longest, file, signal());
    await expect(guest.uploads.begin(longest, file, signal())).rejects.toMatchObject({ reason: "upload_conflict" });
    await guest.uploads.abort(longest, signal());
    await expect(guest.uploads.abort(longest, signal())).rejects.toMatchObject({ reason: "upload_not_found" });
  });

  suite.each("waits a day for the next byte, from the last one on", async ({ guest }) => {
    const id = uploadId();
    const dayMs = 24 * 3_600_000;
    const file = { path: "/workspace/waits", mode: 0o644, sizeBytes: undefined };
    const begun = await guest.uploads.begin(id, file, signal());
    expect(Math.abs(begun.expiresAtMs - Date.now() - dayMs)).toBeLessThan(60_000);
    const later = async () => (await guest.uploads.append(id, 0, Readable.from([]), signal())).expiresAtMs;
    expect(await until(later, (expiresAtMs) => expiresAtMs > begun.expiresAtMs)).toBeGreaterThan(begun.expiresAtMs);
    await guest.uploads.abort(id, signal());
  });

  suite.test(
    "a disk that fills up meanwhile leaves the old content, and the upload goes on once there is room",
    async () => {
      if (!suite.provider().capabilities.limits.disk) return;
      await suite.withSandbox({}, async ({ guest }) => {
        const [id, content] = [uploadId(), randomBytes(12 * mebibyte)];
        await sh(guest, "echo old > /workspace/kept");
        await guest.uploads.begin(id, { path: "/workspace/kept", mode: 0o644, sizeBytes: content.length }, signal());
        await guest.uploads.append(id, 0, Readable.from([content.subarray(0, mebibyte)]), signal());
        const fill = "dd if=/dev/zero of=spare bs=1M count=2; dd if=/dev/zero of=fill bs=64k count=4096; rm spare";
        expect((await sh(guest, fill)).err).toMatch(/No space left/);
        const full = guest.uploads.append(id, mebibyte, Readable.from([content.subarray(mebibyte)]), signal());
        await expect(full).rejects.toMatchObject({ reason: "disk_full", details: { offset: expect.any(Number) } });
        const { offset } = await guest.uploads.get(id, signal());
        expect(offset).toBeGreaterThan(mebibyte);
        expect((await sh(guest, "cat /workspace/kept")).out).toBe("old\n");
        await sh(guest, "rm /workspace/fill");
        await guest.uploads.append(id, offset, Readable.from([content.subarray(offset)]), signal());
        await guest.uploads.commit(id, sha256(content), signal());
        const back = await contentOf(await guest.readFile("/workspace/kept", {}, signal()));
        expect(back.equals(content)).toBe(true);
      });
    },
  );

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
