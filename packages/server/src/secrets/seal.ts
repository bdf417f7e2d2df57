import { createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { nonce as random } from "../lib/id.ts";
import { Secret } from "../lib/secret.ts";

/** Encrypts what the database keeps and nobody but this server may read. */
export interface Sealer {
  /** `about` names the place of what is sealed: sealed text that is moved elsewhere doesn't open. */
  seal(value: Secret, about: string): string;
  /** Throws where it was sealed with another key or about something else, or was changed. */
  open(sealed: string, about: string): Secret;
  /** Whether it was sealed with the key that seals now. */
  isCurrent(sealed: string): boolean;
}

const algorithm = "aes-256-gcm";
const version = "v1";
/** What GCM was made for: any other length is hashed to this one first. */
const nonceBytes = 12;
/** The whole tag: nothing shorter is taken for it. */
const tagBytes = 16;

/** Sealed text names its key by this, so that another key is told from damage. */
const keyNameOf = (key: Buffer): string =>
  createHash("sha256").update("stacyvm key name ").update(key).digest("hex").slice(0, 8);

interface Key {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The configured text is no key yet: one is derived from it. */
const deriveKey = (configured: Secret): Key => {
  const bytes = Buffer.from(hkdfSync("sha256", configured.reveal(), "", "stacyvm secrets at rest", 32));
  return { name: keyNameOf(bytes), bytes };
};

/** AES-256-GCM. The first key seals; the previous ones only open what they sealed. */
export const createSealer = (current: Secret, previous: readonly Secret[] = []): Sealer => {
  const key = deriveKey(current);
  const keys = new Map([...previous.map(deriveKey), key].map(({ name, bytes }) => [name, bytes]));
  return {
    seal(value, about) {
      const nonce = random().subarray(0, nonceBytes);
      const cipher = createCipheriv(algorithm, key.bytes, nonce).setAAD(Buffer.from(about));
      const sealed = Buffer.concat([cipher.update(value.reveal(), "utf8"), cipher.final()]);
      const bytes = Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
      return [version, key.name, bytes.toString("base64url")].join(".");
    },

    open(sealed, about) {
      const [format, name = "", text = ""] = sealed.split(".");
      if (format !== version) throw new Error("sealed text has a format that this server doesn't know");
      const sealedWith = keys.get(name);
      if (sealedWith === undefined) throw new Error("it was sealed with another key");
      const bytes = Buffer.from(text, "base64url");
      const [nonce, tag] = [bytes.subarray(0, nonceBytes), bytes.subarray(nonceBytes, nonceBytes + tagBytes)];
      if (tag.length !== tagBytes) throw new Error("sealed text is cut");
      const decipher = createDecipheriv(algorithm, sealedWith, nonce, { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(about)).setAuthTag(tag);
      const opened = Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]);
      return new Secret(opened.toString("utf8"));
    },

    isCurrent: (sealed) => sealed.startsWith(`${version}.${key.name}.`),
  };
};
