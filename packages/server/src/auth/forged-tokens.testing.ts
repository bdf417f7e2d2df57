import { createHmac } from "node:crypto";
import { base64url, exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from "jose";

const encode = (value: object) => base64url.encode(JSON.stringify(value));

/** An issuer's tokens: its own, and every kind that somebody else would make. `now`: epoch seconds. */
export const tokenForgery = async ({
  issuer,
  audience,
  now,
}: {
  readonly issuer: string;
  readonly audience: string;
  readonly now: () => number;
}) => {
  const own = await generateKeyPair("RS256", { extractable: true });
  const other = await generateKeyPair("RS256", { extractable: true });
  const pem = await exportSPKI(own.publicKey);
  const sign = (payload: JWTPayload, header: object = {}, key = own.privateKey) =>
    new SignJWT(payload).setProtectedHeader({ alg: "RS256", ...header }).sign(key);
  const good = (): JWTPayload => ({ iss: issuer, aud: audience, sub: "alice", iat: now(), exp: now() + 60 });

  const forge = async (name: ForgedToken): Promise<string> => {
    const [usual, seconds] = [good(), now()];
    const without = (...names: string[]): JWTPayload =>
      Object.fromEntries(Object.entries(usual).filter(([member]) => !names.includes(member)));
    const unsigned = (header: object, signature = "") => `${encode(header)}.${encode(usual)}.${signature}`;
    const [header = "", payload = "", signature = ""] = (await sign(usual)).split(".");
    const hmacInput = `${encode({ alg: "HS256" })}.${payload}`;
    const forgeries: Readonly<Record<ForgedToken, () => string | Promise<string>>> = {
      "alg none": () => unsigned({ alg: "none" }),
      "alg None": () => unsigned({ alg: "None" }),
      "alg NONE with a signature": () => unsigned({ alg: "NONE" }, signature),
      "no alg": () => unsigned({ typ: "JWT" }, signature),
      "HS256 with the public key as its secret": () =>
        `${hmacInput}.${createHmac("sha256", pem).update(hmacInput).digest("base64url")}`,
      "an empty signature": () => `${header}.${payload}.`,
      "a signature of zeros": () => `${header}.${payload}.${base64url.encode(new Uint8Array(256))}`,
      "another key": () => sign(usual, {}, other.privateKey),
      "its own key in jwk": async () => sign(usual, { jwk: await exportJWK(other.publicKey) }, other.privateKey),
      "a key's address in jku": () => sign(usual, { jku: "https://evil.example/keys" }, other.privateKey),
      "a certificate's address in x5u": () => sign(usual, { x5u: "https://evil.example/cert" }, other.privateKey),
      "an unknown crit": () =>
        `${encode({ alg: "RS256", crit: ["exp-policy"], "exp-policy": 1 })}.${payload}.${signature}`,
      "a payload that was changed": () => `${header}.${encode({ ...usual, sub: "root" })}.${signature}`,
      "four parts": () => `${header}.${payload}.${signature}.x`,
      "one part": () => "token",
      "a part that is no base64url": () => `${header}.***.${signature}`,
      "a header that is no JSON": () => `${base64url.encode("{")}.${payload}.${signature}`,
      "no exp": () => sign(without("exp")),
      "exp as text": () => sign({ ...usual, exp: "tomorrow" as unknown as number }),
      "an end that is now": () => sign({ ...usual, exp: seconds }),
      "a start more than 30 s ahead": () => sign({ ...usual, nbf: seconds + 31 }),
      "an issue more than 30 s ahead": () => sign({ ...usual, iat: seconds + 31 }),
      "an issue that is no time": () => sign({ ...usual, iat: "soon" as unknown as number }),
      "another issuer": () => sign({ ...usual, iss: `${issuer}/` }),
      "no issuer": () => sign(without("iss")),
      "another audience": () => sign({ ...usual, aud: ["stacyvm-other"] }),
      "no audience": () => sign(without("aud")),
      "no subject": () => sign(without("sub")),
      "an empty subject": () => sign({ ...usual, sub: " " }),
      "17,000 characters": () => sign({ ...usual, padding: "x".repeat(17_000) }),
    };
    return await forgeries[name]();
  };
  return { pem, own, other, good, sign, forge };
};

/** What is wrong with a token that nobody may take for the issuer's. */
export const forgedTokens = [
  "alg none",
  "alg None",
  "alg NONE with a signature",
  "no alg",
  "HS256 with the public key as its secret",
  "an empty signature",
  "a signature of zeros",
  "another key",
  "its own key in jwk",
  "a key's address in jku",
  "a certificate's address in x5u",
  "an unknown crit",
  "a payload that was changed",
  "four parts",
  "one part",
  "a part that is no base64url",
  "a header that is no JSON",
  "no exp",
  "exp as text",
  "an end that is now",
  "a start more than 30 s ahead",
  "an issue more than 30 s ahead",
  "an issue that is no time",
  "another issuer",
  "no issuer",
  "another audience",
  "no audience",
  "no subject",
  "an empty subject",
  "17,000 characters",
] as const;
export type ForgedToken = (typeof forgedTokens)[number];
