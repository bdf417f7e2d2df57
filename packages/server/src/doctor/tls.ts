import { ConfigError } from "../config/problem.ts";
import { judgeTlsPair, readTlsFiles, type TlsFiles, tlsExpiryWarningMs } from "../config/tls-files.ts";
import { type Finding, findingsOf } from "./finding.ts";

const { ok, warn, fail } = findingsOf("configuration");

/** Whether a server could show its certificate. */
export async function tlsFindings(files: TlsFiles, nowMs: number): Promise<readonly Finding[]> {
  if (files.certFile === "") return [];
  try {
    const { expiresAtMs } = judgeTlsPair(files, await readTlsFiles(files), nowMs);
    const until = `the TLS certificate counts until ${new Date(expiresAtMs).toISOString()}`;
    if (expiresAtMs - nowMs < tlsExpiryWarningMs)
      return [warn("tls", until, "renew it; the server takes the new one itself")];
    return [ok("tls", until)];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message, hint }) => fail(path, message, hint));
  }
}
