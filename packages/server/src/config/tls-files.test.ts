import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeAuthority, type TestAuthority } from "./certificates.testing.ts";
import { ConfigError } from "./problem.ts";
import { judgeTlsPair, readTlsFiles, type TlsFiles } from "./tls-files.ts";

let folder = "";
let authority: TestAuthority;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stacyvm-tls-"));
  authority = makeAuthority(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const judge = async (files: TlsFiles, nowMs = Date.now()) => judgeTlsPair(files, await readTlsFiles(files), nowMs);

const told = async (files: TlsFiles, nowMs?: number): Promise<readonly string[]> => {
  try {
    await judge(files, nowMs);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message, hint }) => `${path}: ${message} | ${hint}`);
  }
};

test("a certificate with its key is taken, with its chain and without", async () => {
  const good = authority.issue("good");
  const pair = await judge(good);
  expect(pair.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  expect(pair.expiresAtMs).toBeGreaterThan(Date.now() + 29 * 86_400_000);
  const certFile = join(folder, "chain.pem");
  writeFileSync(certFile, readFileSync(good.certFile, "utf8") + readFileSync(authority.caFile, "utf8"));
  expect((await judge({ ...good, certFile })).fingerprint).toBe(pair.fingerprint);
});

const changed = (name: string, change: (files: TlsFiles) => void): TlsFiles => {
  const files = authority.issue(name);
  change(files);
  return files;
};

test.each<[string, () => TlsFiles, readonly RegExp[]]>([
  [
    "files that aren't there",
    () => ({ certFile: "/nowhere/c.pem", keyFile: "/nowhere/k.pem" }),
    [/cert_file .*\/nowhere\/c\.pem.* ENOENT/, /key_file .*ENOENT/],
  ],
  ["a directory", () => ({ ...authority.issue("directory"), keyFile: folder }), [/key_file .* no regular file/]],
  [
    "no file's end",
    () => changed("large", ({ certFile }) => truncateSync(certFile, 1024 * 1024 + 1)),
    [/cert_file .* too large/],
  ],
  [
    "another's key",
    () => ({ ...authority.issue("one"), keyFile: authority.issue("two").keyFile }),
    [/key_file .*two\.key.* doesn't belong to the certificate .*one\.pem/],
  ],
  [
    "an expired certificate",
    () => authority.issue("expired", { days: -1 }),
    [/cert_file: .*expired\.pem.* expired on 20\d\d-.*Renew/],
  ],
  [
    "half a certificate",
    () => changed("half", ({ certFile }) => truncateSync(certFile, 200)),
    [/cert_file .* no certificate that can be read/],
  ],
  [
    "a chain that stops in its middle",
    () =>
      changed("cut", ({ certFile }) =>
        writeFileSync(certFile, readFileSync(certFile, "utf8") + readFileSync(authority.caFile, "utf8").slice(0, 200)),
      ),
    [/cert_file .* no certificate that can be read/],
  ],
  [
    "two empty files",
    () => changed("empty", (files) => [files.certFile, files.keyFile].forEach((file) => void truncateSync(file))),
    [/key_file .* no private key/, /cert_file .* no certificate/],
  ],
  [
    "an encrypted key",
    () =>
      changed("encrypted", ({ keyFile }) => {
        const args = ["pkcs8", "-topk8", "-in", keyFile, "-passout", "pass:x", "-out", `${keyFile}.new`];
        execFileSync("openssl", args, { stdio: "pipe" });
        writeFileSync(keyFile, readFileSync(`${keyFile}.new`));
      }),
    [/key_file .* is encrypted \| .*without a passphrase/],
  ],
  [
    "a key too short for TLS",
    () =>
      changed("weak", ({ certFile, keyFile }) => {
        const out = ["-keyout", keyFile, "-out", certFile, "-subj", "/CN=localhost"];
        execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:512", "-nodes", ...out], { stdio: "pipe" });
      }),
    [/cert_file .* can't be used for TLS/],
  ],
])("%s is refused and told", async (_what, make, patterns) => {
  const problems = await told(make());
  expect(problems).toHaveLength(patterns.length);
  for (const pattern of patterns) expect(problems.join("\n")).toMatch(pattern);
  expect(problems.join("\n")).not.toContain("-----");
});

test("a certificate of the future is not valid yet", async () => {
  const files = authority.issue("future");
  expect(await told(files, Date.now() - 3_600_000)).toEqual([expect.stringMatching(/not valid before 20\d\d-.*clock/)]);
});
