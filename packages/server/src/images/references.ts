import { StacyError } from "@stacyvm/contract";
import { imageBounds } from "./bounds.ts";

/** A reference with every default filled in. */
export interface ImageReference {
  /** Host with an optional port, as written: docker.io, localhost:5000, [::1]:5000. */
  readonly registry: string;
  /** Path inside the registry, lower case: library/alpine. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:` and 64 hex digits. */
  readonly digest: string | undefined;
}

const maxRepositoryLength = 255;
const digestPattern = /^sha256:[0-9a-f]{64}$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const componentPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const hostLabel = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
const registryPattern = new RegExp(`^(?:${hostLabel}(?:\\.${hostLabel})*|\\[[0-9A-Fa-f:.]{2,45}\\])(?::(\\d{1,5}))?$`);

/**
 * Parses what people write: `alpine`, `me/app:1`, `localhost:5000/app`, `ghcr.io/a/b@sha256:…`.
 * Docker Hub and `latest` are the defaults; a tag beside a digest is kept, the digest decides.
 * Throws invalid_input that says which part is wrong.
 */
export function parseReference(text: string): ImageReference {
  if (text.length === 0) throw refuse(text, "it is empty");
  if (Buffer.byteLength(text) > imageBounds.referenceBytes) {
    throw refuse(text, `it is longer than ${imageBounds.referenceBytes} bytes`);
  }
  const [beforeDigest, digest, ...more] = text.split("@") as [string, ...string[]];
  if (more.length > 0) throw refuse(text, "it has more than one @");
  if (digest !== undefined && !digestPattern.test(digest)) {
    throw refuse(text, "a digest is sha256: and 64 lower-case hex digits");
  }
  const { name, tag } = splitTag(beforeDigest);
  if (tag !== undefined && !tagPattern.test(tag)) {
    throw refuse(text, "a tag is at most 128 letters, digits, dots, dashes or underscores and starts with none of . -");
  }
  const { registry, repository } = splitRegistry(name);
  checkRegistry(text, registry);
  checkRepository(text, repository);
  return { registry, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** The one spelling under which an image is stored: docker.io/library/alpine:latest. */
export function formatReference(reference: ImageReference): string {
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  const digest = reference.digest === undefined ? "" : `@${reference.digest}`;
  return `${reference.registry}/${reference.repository}${tag}${digest}`;
}

export const normaliseReference = (text: string): string => formatReference(parseReference(text));

function splitTag(text: string): { name: string; tag: string | undefined } {
  const colon = text.lastIndexOf(":");
  if (colon <= text.lastIndexOf("/")) return { name: text, tag: undefined };
  return { name: text.slice(0, colon), tag: text.slice(colon + 1) };
}

function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = first === "localhost" || /[.:A-Z[]/.test(first);
  if (!isHost) return { registry: "docker.io", repository: slash < 0 ? `library/${name}` : name };
  const path = name.slice(slash + 1);
  const registry = first.toLowerCase();
  const isHub = registry === "docker.io" || registry === "index.docker.io";
  if (!isHub) return { registry, repository: path };
  return { registry: "docker.io", repository: path.includes("/") ? path : `library/${path}` };
}

function checkRegistry(text: string, registry: string): void {
  const match = registryPattern.exec(registry);
  const host = registry.replace(/:\d+$/, "");
  if (match === null || host.length > 253) throw refuse(text, "the registry is not a host name with an optional port");
  if (match[1] !== undefined && (Number(match[1]) < 1 || Number(match[1]) > 65_535)) {
    throw refuse(text, "the registry's port is not between 1 and 65535");
  }
}

function checkRepository(text: string, repository: string): void {
  if (repository.length > maxRepositoryLength) {
    throw refuse(text, `the name is longer than ${maxRepositoryLength} characters`);
  }
  if (!repository.split("/").every((component) => componentPattern.test(component))) {
    throw refuse(text, "a name is lower-case letters and digits, parted by single . _ - or / (or __ or dashes)");
  }
}

const refuse = (text: string, why: string) =>
  new StacyError("invalid_input", `image: ${JSON.stringify(text.slice(0, 80))} is not an image reference: ${why}`, {
    details: { field: "image" },
  });
