import { Client } from "stacyvm";
import { expect, test } from "vitest";
import { startServer } from "./server.ts";

test("the client sets, lists and deletes secrets without ever being told a value, and an administrator rotates", async () => {
  const adminKey = "a".repeat(40);
  const value = "sk-live-0123456789";
  await using server = await startServer({ config: { "auth.admin_api_key": adminKey } });
  const admin = new Client({ baseUrl: server.url, adminApiKey: adminKey });
  const { key } = await admin.apiKeys.create("ci", { role: "operator" });
  const operator = new Client({ baseUrl: server.url, apiKey: key });
  expect(await operator.secrets.list()).toEqual([]);
  const first = await operator.secrets.set("API_KEY", value, {
    hosts: ["API.example.com", "b.test:8443"],
    owners: ["ann"],
  });
  expect(first).toMatchObject({
    ...{ name: "API_KEY", version: 1, owners: ["ann"] },
    hosts: ["api.example.com:443", "b.test:8443"],
  });
  const second = await operator.secrets.set("API_KEY", value, { hosts: ["api.example.com"] });
  expect(second).toMatchObject({ version: 2, owners: [], created_at: first.created_at });
  const kept = await operator.secrets.list();
  expect(kept).toEqual([second]);
  expect(JSON.stringify([first, kept])).not.toContain(value);
  const refusal = (statusCode: number, reason: string) => expect.objectContaining({ statusCode, reason });
  await expect(operator.secrets.set("API_KEY", `${value}\n`, { hosts: ["b.test"] })).rejects.toEqual(
    refusal(400, "invalid_input"),
  );
  await expect(operator.secrets.set("../x", value, { hosts: ["b.test"] })).rejects.toEqual(
    refusal(400, "invalid_input"),
  );
  await expect(operator.secrets.rotate()).rejects.toEqual(refusal(403, "permission_denied"));
  expect(await admin.secrets.rotate()).toEqual({ resealed: 0, kept: 0 });
  await operator.secrets.delete("API_KEY");
  await expect(operator.secrets.delete("API_KEY")).rejects.toEqual(refusal(404, "secret_not_found"));
});
