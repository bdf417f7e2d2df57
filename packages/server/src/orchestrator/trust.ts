import { X509Certificate } from "node:crypto";
import { posix } from "node:path";
import { StacyError } from "@stacyvm/contract";
import type { Admission } from "../egress/egress.ts";
import type { Guest } from "../guest/guest.ts";

/** Where images have the authorities that their programs trust, the commonest first. */
const bundlePaths = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
] as const;
/** Where both are that the sandbox's own user must be able to write, who isn't root there. */
const userFolder = "/tmp/.stacyvm";
/** The sandbox's own authority alone, for programs that add it to what they bring along. */
const authorityName = "stacyvm.pem";
/** Largest bundle of an image that is read, bytes. */
const bundleMaxBytes = 4 * 1024 * 1024;

/** Programs that bring authorities of their own find the bundle by these. */
const bundleVariables = [
  "SSL_CERT_FILE",
  "CURL_CA_BUNDLE",
  "REQUESTS_CA_BUNDLE",
  "GIT_SSL_CAINFO",
  "AWS_CA_BUNDLE",
  "CARGO_HTTP_CAINFO",
  "DENO_CERT",
] as const;

/**
 * Has a sandbox that is looked into trust its own authority, beside those of its image, and tells the variables by which programs find them.
 * Doing it again changes nothing. Throws provider_unavailable where nobody can say which authority that is.
 */
export async function trustGateway(
  guest: Pick<Guest, "readFile" | "writeFile">,
  { isInspected, authority }: Pick<Admission, "isInspected" | "authority">,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  if (!isInspected) return {};
  if (authority === undefined) throw new StacyError("provider_unavailable", "the egress gateway is down");
  const { path, text } = (await findBundle(guest, signal)) ?? { path: bundlePaths[0], text: "" };
  // Its key makes its name; the certificate itself is another after each start of the gateway.
  const mark = `# ${new X509Certificate(authority).subject}\n`;
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  const bundle = text.includes(mark) ? text : `${text}${separator}${mark}${authority}`;
  const write = async (to: string): Promise<Readonly<Record<string, string>>> => {
    const authorityPath = posix.join(posix.dirname(to), authorityName);
    if (to !== path || bundle !== text) {
      await guest.writeFile(to, Buffer.from(bundle, "latin1"), { mode: 0o644 }, signal);
    }
    await guest.writeFile(authorityPath, Buffer.from(authority), { mode: 0o644 }, signal);
    return { ...Object.fromEntries(bundleVariables.map((name) => [name, to])), NODE_EXTRA_CA_CERTS: authorityPath };
  };
  try {
    return await write(path);
  } catch (error) {
    if (!(error instanceof StacyError && error.reason === "file_permission_denied")) throw error;
    return await write(posix.join(userFolder, posix.basename(path)));
  }
}

async function findBundle(
  guest: Pick<Guest, "readFile">,
  signal: AbortSignal,
): Promise<{ readonly path: string; readonly text: string } | undefined> {
  for (const path of bundlePaths) {
    try {
      return { path, text: await readText(guest, path, signal) };
    } catch (error) {
      const isMissing = error instanceof StacyError && ["file_not_found", "not_a_file"].includes(error.reason);
      if (!isMissing) throw error;
    }
  }
  return undefined;
}

async function readText(guest: Pick<Guest, "readFile">, path: string, signal: AbortSignal): Promise<string> {
  const { body, sizeBytes = 0 } = await guest.readFile(path, {}, signal);
  if (sizeBytes <= bundleMaxBytes) {
    const parts: Buffer[] = [];
    for await (const part of body) parts.push(Buffer.from(part));
    return Buffer.concat(parts).toString("latin1");
  }
  body.discard();
  throw new StacyError("invalid_input", `the image's ${path} has more than ${bundleMaxBytes} bytes`, {
    remediation:
      "Use an image with an ordinary bundle of authorities, or a sandbox without secrets and inspected hosts.",
  });
}
