import { expect, test } from "vitest";
import { noEgress } from "../egress/gateway.ts";
import { Secret } from "../lib/secret.ts";
import { sandboxRecord } from "../store/sandbox-record.testing.ts";
import { checkInjected, currentSecrets, placeholders, type SecretSource, secretTexts } from "./secret-uses.ts";

const kept: SecretSource = {
  find: async (_, ownerId, name) =>
    name === "KEY" && ownerId === "alice"
      ? { version: "3", hosts: ["api.example.com:443", "eu.example.com:443"], value: new Secret("hunter2") }
      : undefined,
};
const user = sandboxRecord({ ownerId: "alice" });
const to = (host: string, port = 443) => ({ host, port });
const inject = (host: string, secret = "KEY") => ({ host, header: "X-Key", secret, value: "a {secret} b" });

test("a use without a host stands for every host of the secret", async () => {
  expect(await secretTexts(kept, user, [{ name: "KEY", to: undefined }], {})).toEqual([
    "KEY@api.example.com:443",
    "KEY@eu.example.com:443",
  ]);
  expect(await secretTexts(kept, user, [{ name: "KEY", to: to("eu.example.com") }], {})).toEqual([
    "KEY@eu.example.com:443",
  ]);
});

test("a secret that isn't there, isn't the owner's, or isn't for the host is refused before anything is made", async () => {
  const use = (name: string, host: string, who = user) => secretTexts(kept, who, [{ name, to: to(host) }], {});
  await expect(use("OTHER", "api.example.com")).rejects.toThrow('unknown secret "OTHER"');
  await expect(use("KEY", "api.example.com", sandboxRecord({ ownerId: "bob" }))).rejects.toThrow("unknown secret");
  await expect(use("KEY", "evil.example.com")).rejects.toThrow(
    "not for evil.example.com:443, but for api.example.com:443",
  );
  await expect(secretTexts(kept, user, [{ name: "KEY", to: undefined }], { KEY: "x" })).rejects.toThrow("both set KEY");
  await expect(checkInjected(kept, user, [inject("evil.example.com")])).rejects.toThrow("not for evil.example.com:443");
  await expect(checkInjected(kept, user, [inject("api.example.com", "OTHER")])).rejects.toThrow("unknown secret");
  await expect(checkInjected(kept, user, [inject("api.example.com")])).resolves.toBeUndefined();
});

test("what is gone, or no longer for its host, is told without a value", async () => {
  const record = {
    ...user,
    secrets: ["KEY@api.example.com:443", "KEY@old.example.com:443", "GONE@api.example.com:443"],
    network: { mode: "public" as const, allow: [], deny: [], inject: [inject("eu.example.com")] },
  };
  const { uses, versions } = await currentSecrets(kept, record);
  expect(uses.placeholders.map(({ name, host, value }) => [name, host, value?.reveal()])).toEqual([
    ["KEY", "api.example.com", "hunter2"],
    ["KEY", "old.example.com", undefined],
    ["GONE", "api.example.com", undefined],
  ]);
  expect(uses.inject).toMatchObject([
    { host: "eu.example.com", port: 443, before: "a ", after: " b", header: "X-Key" },
  ]);
  expect([...versions]).toEqual([
    ["KEY", "3"],
    ["GONE", ""],
  ]);
});

test("the environment has one placeholder for each secret, whatever its hosts", () => {
  const record = { ...user, secrets: ["KEY@api.example.com:443", "KEY@eu.example.com:443"] };
  const egress = { ...noEgress, placeholder: (id: string, name: string) => `${id} ${name}` };
  expect(placeholders(egress, record)).toEqual({ KEY: `${user.id} KEY` });
});
