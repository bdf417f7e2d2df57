import { randomBytes, randomUUID } from "node:crypto";
import { Secret } from "./secret.ts";

/** Where identifiers come from; injected so that tests own it. */
export interface Ids {
  /** `sb-` and 16 hex digits. */
  sandbox(): string;
  /** `pr-` and 16 hex digits. */
  process(): string;
  /** 32 random bytes, base64url. */
  fileLinkKey(): string;
  /** 32 hex digits. */
  token(): string;
  /** Of a named key: `key-` and 16 hex digits. */
  apiKey(): string;
  /** A named key itself: `svm_` and 32 random bytes, base64url. */
  apiKeySecret(): string;
  /** Of a browser's session: 32 random bytes, base64url. */
  session(): string;
  /** `up-` and 16 hex digits. */
  upload(): string;
  /** `tenant-` and 8 hex digits. */
  tenant(): string;
  /** `project-` and 8 hex digits. */
  project(): string;
  /** `regcred-` and 16 hex digits. */
  registryCredential(): string;
  request(): string;
  /** Of a server, for as long as its data lives. */
  server(): string;
  /** Of a database, for as long as it or a copy of it lives. */
  database(): string;
}

export const randomIds: Ids = {
  sandbox: () => `sb-${randomBytes(8).toString("hex")}`,
  process: () => `pr-${randomBytes(8).toString("hex")}`,
  fileLinkKey: () => randomBytes(32).toString("base64url"),
  apiKey: () => `key-${randomBytes(8).toString("hex")}`,
  apiKeySecret: () => `svm_${randomBytes(32).toString("base64url")}`,
  session: () => randomBytes(32).toString("base64url"),
  token: () => randomBytes(16).toString("hex"),
  upload: () => `up-${randomBytes(8).toString("hex")}`,
  tenant: () => `tenant-${randomBytes(4).toString("hex")}`,
  project: () => `project-${randomBytes(4).toString("hex")}`,
  registryCredential: () => `regcred-${randomBytes(8).toString("hex")}`,
  request: () => randomUUID(),
  server: () => randomUUID(),
  database: () => randomUUID(),
};

/** 32 random bytes, hex. */
export const randomKey = (): Secret => new Secret(randomBytes(32).toString("hex"));

/** 16 random bytes that stand for nothing else. */
export const nonce = (): Buffer => randomBytes(16);
