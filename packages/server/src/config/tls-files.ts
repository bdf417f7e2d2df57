import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { open } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { ConfigError, type Problem } from "./problem.ts";

/** A larger file is no certificate and no key. */
const tlsFileBytesMax = 1024 * 1024;
/** A certificate that ends sooner is warned of, milliseconds. */
export const tlsExpiryWarningMs = 14 * 86_400_000;

export interface TlsFiles {
  /** PEM: the server's certificate, then those that lead to its authority. */
  readonly certFile: string;
  /** PEM of its private key, not encrypted. */
  readonly keyFile: string;
}

/** What a listener shows. */
export interface TlsPair {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** SHA-256 of the certificate, as OpenSSL writes it. */
  readonly fingerprint: string;
  readonly expiresAtMs: number;
}

const certSetting = "server.tls.cert_file";
const keySetting = "server.tls.key_file";

const readBounded = async (path: string): Promise<Buffer> => {
  await using file = await open(path, "r");
  const stat = await file.stat();
  if (!stat.isFile()) throw Object.assign(new Error("not a file"), { code: "no regular file" });
  if (stat.size > tlsFileBytesMax) throw Object.assign(new Error("too large"), { code: "too large" });
  return await file.readFile();
};

const attempt = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch {
    return undefined;
  }
};

/** Whether each block that begins also ends: a file that is being written stops anywhere. */
const isWhole = (pem: Buffer): boolean => {
  const text = pem.toString("latin1");
  return text.split("-----BEGIN ").length === text.split("-----END ").length;
};

const dateProblem = (certificate: X509Certificate, path: string, nowMs: number): Problem[] => {
  const message = `the certificate in ${certSetting} (${path})`;
  const [from, to] = [certificate.validFromDate, certificate.validToDate];
  if (to.getTime() <= nowMs) {
    return [
      { path: certSetting, message: `${message} expired on ${to.toISOString()}`, hint: "Renew it, with its key." },
    ];
  }
  if (from.getTime() > nowMs) {
    const hint = "Check this machine's clock, or wait.";
    return [{ path: certSetting, message: `${message} is not valid before ${from.toISOString()}`, hint }];
  }
  return [];
};

const keyProblem = (key: KeyObject | undefined, pem: Buffer, path: string): Problem[] => {
  if (key !== undefined) return [];
  if (/ENCRYPTED/.test(pem.toString("latin1"))) {
    const hint = "Keep it without a passphrase, readable by the server's user alone: openssl pkey -in KEY -out NEW.";
    return [{ path: keySetting, message: `${keySetting} (${path}) is encrypted`, hint }];
  }
  const hint = "It must be one private key as PEM.";
  return [{ path: keySetting, message: `${keySetting} (${path}) holds no private key that can be read`, hint }];
};

/** Judges what two files hold. Throws ConfigError; messages never quote a file. */
export const judgeTlsPair = (
  { certFile, keyFile }: TlsFiles,
  { cert, key }: Pick<TlsPair, "cert" | "key">,
  nowMs: number,
): TlsPair => {
  const certificate = isWhole(cert) ? attempt(() => new X509Certificate(cert)) : undefined;
  const privateKey = isWhole(key) ? attempt(() => createPrivateKey(key)) : undefined;
  const problems = keyProblem(privateKey, key, keyFile);
  if (certificate === undefined) {
    const message = `${certSetting} (${certFile}) holds no certificate that can be read`;
    problems.push({ path: certSetting, message, hint: "It must be PEM: the server's own first, then the chain." });
  } else {
    problems.push(...dateProblem(certificate, certFile, nowMs));
    if (privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
      const message = `${keySetting} (${keyFile}) doesn't belong to the certificate in ${certSetting} (${certFile})`;
      problems.push({ path: keySetting, message, hint: "Name the key that the certificate was made for." });
    }
  }
  if (problems.length === 0 && attempt(() => createSecureContext({ cert, key })) === undefined) {
    const message = `${certSetting} (${certFile}) and its key can't be used for TLS`;
    problems.push({ path: certSetting, message, hint: "Check the chain, and that the key isn't too short." });
  }
  if (certificate === undefined || problems.length > 0) throw new ConfigError(problems);
  return { cert, key, fingerprint: certificate.fingerprint256, expiresAtMs: certificate.validToDate.getTime() };
};

/** The files' bytes, whatever they are. Throws ConfigError where one can't be read. */
export const readTlsFiles = async ({ certFile, keyFile }: TlsFiles): Promise<Pick<TlsPair, "cert" | "key">> => {
  const problems: Problem[] = [];
  const readOne = async (setting: string, path: string): Promise<Buffer> => {
    try {
      return await readBounded(path);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
      problems.push({
        path: setting,
        message: `${setting} (${path}) can't be read: ${code}`,
        hint: "Check the file's path and mode, and the server's user.",
      });
      return Buffer.alloc(0);
    }
  };
  const cert = await readOne(certSetting, certFile);
  const key = await readOne(keySetting, keyFile);
  if (problems.length > 0) throw new ConfigError(problems);
  return { cert, key };
};
