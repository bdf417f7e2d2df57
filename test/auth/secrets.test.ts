import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../packages/server/src/lib/secret.ts";
import { openDatabase } from "../../packages/server/src/store/open-database.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";

const adminKey = "a".repeat(40);
const root = { "X-Admin-API-Key": adminKey };
const acme = { ...root, "X-Tenant-ID": "acme" };
const acmeWeb = { ...acme, "X-Project-ID": "web" };
const value = "sk-live-Zm9v.bar/baz+qux~tuv==0123456789";
const content = { value, hosts: ["api.example.com"] };
const why = await whyNoPostgres();

const ask = async (url: string, as: object, method: string, path: string, body?: object | string) => {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: { ...as, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, body: text === "" ? {} : JSON.parse(text) };
};

/** Every way in which a reader could meet the value: as it is, and in base64 at any offset, URL-safe or not, and hex. */
const spellings = (secret: string): readonly Buffer[] => {
  const base64 = [0, 1, 2].flatMap((at) => {
    const encoded = Buffer.from(secret.slice(at, at + 3 * Math.floor((secret.length - at) / 3))).toString("base64");
    return [encoded, encoded.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const hex = Buffer.from(secret).toString("hex");
  return [secret, encodeURIComponent(secret), JSON.stringify(secret), hex, hex.toUpperCase(), ...base64].map((text) =>
    Buffer.from(text),
  );
};
const tells = (bytes: Buffer, secret: string): boolean =>
  spellings(secret).some((spelling) => bytes.includes(spelling));
const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("secrets, on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let server: TestServer;
  let database: Record<string, string> = {};
  let logged = "";
  const log = pino(
    { level: "trace" },
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        logged += chunk;
        done();
      },
    }),
  );
  const key = { "server.secrets_key": "e".repeat(40) };
  const config = (more: Readonly<Record<string, string>>) => ({
    ...database,
    "auth.admin_api_key": adminKey,
    "providers.mock.enabled": "true",
    ...more,
  });
  const as = (who: object, method: string, path: string, body?: object | string) =>
    ask(server.url, who, method, path, body);

  beforeAll(async () => {
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    server = await startServer({ config: config(key), log });
    for (const id of ["acme", "rival"]) await as(root, "POST", "/admin/tenants", { id, name: id });
    await as(root, "POST", "/admin/tenants/acme/projects", { id: "web", name: "web" });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  test("one is set, set again, listed without its value and deleted, in its own place alone", async () => {
    const first = await as(acme, "PUT", "/secrets/OPENAI_API_KEY", {
      ...content,
      hosts: ["API.example.com:8443", "b.test"],
    });
    expect([first.status, first.body.secret]).toEqual([
      200,
      {
        ...{ name: "OPENAI_API_KEY", version: 1, hosts: ["api.example.com:8443", "b.test:443"], owners: [] },
        ...{ created_by: "admin:X-Admin-API-Key", created_at: expect.any(String), updated_at: expect.any(String) },
      },
    ]);
    const both = await Promise.all(
      ["x", "y"].map((owner) => as(acme, "PUT", "/secrets/OPENAI_API_KEY", { ...content, owners: [owner] })),
    );
    expect(both.map(({ body }) => body.secret.version).toSorted()).toEqual([2, 3]);
    const last = both.find(({ body }) => body.secret.version === 3)?.body.secret;
    expect(last).toMatchObject({ hosts: ["api.example.com:443"], created_at: first.body.secret.created_at });
    expect((await as(acme, "GET", "/secrets")).body).toEqual({ secrets: [last] });
    for (const elsewhere of [root, acmeWeb, { ...root, "X-Tenant-ID": "rival" }]) {
      expect((await as(elsewhere, "GET", "/secrets")).body).toEqual({ secrets: [] });
      const deleted = await as(elsewhere, "DELETE", "/secrets/OPENAI_API_KEY");
      expect([deleted.status, deleted.body.reason]).toEqual([404, "secret_not_found"]);
    }
    expect((await as(acme, "DELETE", "/secrets/OPENAI_API_KEY")).status).toBe(204);
    expect((await as(acme, "GET", "/secrets")).body).toEqual({ secrets: [] });
  });

  test("bad input is refused with what to do, without the value, and changes nothing", async () => {
    await as(acme, "PUT", "/secrets/KEPT", content);
    const before = (await as(acme, "GET", "/secrets")).text;
    for (const name of ["1ST", "A-B", "A.B", "A B", "Ä", "A".repeat(129), "A%2FB"]) {
      const refused = await as(acme, "PUT", `/secrets/${name}`, content);
      expect([name, refused.status]).toEqual([name, 400]);
    }
    const bad: readonly (readonly [Record<string, unknown>, string])[] = [
      [{ value: `${value}\n` }, "value ends in a newline"],
      [{ value: `${value}\r\n` }, "value ends in a newline"],
      [{ value: `${value}\nX-Admin: 1` }, "value has more than one line"],
      [{ value: `${value}\0` }, "value has a control character"],
      [{ value: `${value}\u007f` }, "value has a control character"],
      [{ value: `${value}\ud800` }, "value is no text"],
      [{ value: "" }, "value is required"],
      [{ value: undefined }, "value must be string"],
      [{ value: "ä".repeat(16_385) }, "value must be 32768 bytes or fewer"],
      [{ value: { of: value } }, "value must be string"],
      [{ hosts: undefined }, "hosts must be array"],
      [{ hosts: [] }, "hosts must name the hosts"],
      [{ hosts: Array.from({ length: 17 }, (_, at) => `h${at}.test`) }, "16 items or fewer"],
      [{ hosts: ["*.example.com"] }, "stands for many names"],
      [{ hosts: ["203.0.113.7"] }, "is an address"],
      [{ hosts: ["https://api.example.com"] }, "leave https:// out"],
      [{ owners: ["a/b"] }, "owner_id cannot contain path separators"],
      [{ owners: [""] }, "must not be empty"],
      [{ owner: ["ann"] }, "owner is not a known field"],
    ];
    for (const [change, says] of bad) {
      const refused = await as(acme, "PUT", "/secrets/KEPT", { ...content, ...change });
      expect([refused.status, refused.body.message]).toEqual([400, expect.stringContaining(says)]);
      expect(refused.text).not.toContain(value);
    }
    const broken = await as(acme, "PUT", "/secrets/KEPT", `{"value": "${value}", "hosts": [`);
    expect([broken.status, broken.text.includes(value)]).toEqual([400, false]);
    expect((await as(acme, "GET", "/secrets")).text).toBe(before);
    const longest = await as(acme, "PUT", "/secrets/LONG", { ...content, value: "ä".repeat(16_384) });
    expect(longest.status).toBe(200);
    for (const name of ["KEPT", "LONG"]) await as(acme, "DELETE", `/secrets/${name}`);
  });

  test("a place keeps two hundred, and the next one is refused until one is deleted", async () => {
    const rival = { ...root, "X-Tenant-ID": "rival" };
    const put = (at: number) => as(rival, "PUT", `/secrets/KEY_${at}`, content);
    for (let at = 0; at < 200; at += 10) {
      const part = await Promise.all(Array.from({ length: 10 }, (_, each) => put(at + each)));
      expect(part.map(({ status }) => status)).toEqual(Array(10).fill(200));
    }
    const refused = await put(200);
    expect([refused.status, refused.body.reason, refused.body.message]).toEqual([
      409,
      "too_many_secrets",
      expect.stringContaining("200 secrets"),
    ]);
    expect((await put(7)).body.secret.version).toBe(2);
    expect((await as(rival, "DELETE", "/secrets/KEY_7")).status).toBe(204);
    expect((await put(200)).status).toBe(200);
  });

  test("who set, deleted or rotated is in the audit, and the value is nowhere: files, database, log, answers", async () => {
    for (const who of [acme, acmeWeb]) await as(who, "PUT", "/secrets/AUDITED", content);
    await as(acmeWeb, "DELETE", "/secrets/AUDITED");
    expect((await as(root, "POST", "/secrets/rotate")).body).toEqual({ resealed: 0, kept: 0 });
    for (const path of ["/secrets", "/config", "/metrics", "/metrics/prometheus", "/system/stats", "/providers"]) {
      const answer = await fetch(`${server.url}/api/v1${path}`, { headers: path === "/secrets" ? acme : root });
      expect([path, answer.status, tells(Buffer.from(await answer.text()), value)]).toEqual([path, 200, false]);
    }
    // What the audit waits to write is written when the server ends.
    await server.stop();
    const dsn = database["database.dsn"];
    const path = join(server.dataDir, "stacyvm.db");
    const open = openDatabase(
      dsn === undefined ? { driver: "sqlite", path } : { driver: "postgres", dsn: new Secret(dsn) },
    );
    const audit = await open.queries.selectFrom("operation_audit_logs").selectAll().execute();
    const rows = await open.queries.selectFrom("secrets").selectAll().execute();
    await open.queries.destroy();
    const noted = audit.filter(({ action, resource }) => action.startsWith("secret.") && /AUDITED|^$/.test(resource));
    expect(
      noted.map(({ action, tenant_id, detail }) => [action, tenant_id, detail.replace(/from=.*/, "from")]),
    ).toEqual([
      ["secret.save", "acme", "version=1 hosts=api.example.com:443 from"],
      ["secret.save", "acme", "version=1 project=web hosts=api.example.com:443 from"],
      ["secret.delete", "acme", "project=web from"],
      ["secret.rotate", "", "resealed=0 kept=0 from"],
    ]);
    expect(rows.length).toBeGreaterThan(200);
    expect(tells(Buffer.from(JSON.stringify([audit, rows])), value)).toBe(false);
    expect(logged).toContain("/api/v1/secrets/AUDITED");
    expect(tells(Buffer.from(logged), value)).toBe(false);
    const files = filesBelow(server.dataDir);
    if (driver === "sqlite") expect(files).toContain(path);
    for (const file of files) expect([file, tells(readFileSync(file), value)]).toEqual([file, false]);
    await server[Symbol.asyncDispose]();
    server = await startServer({ config: config(key) });
  });

  test("after the key was changed and everything sealed anew the old key opens nothing and is needed no more", async () => {
    const place = { ...root, "X-Tenant-ID": "turned" };
    await as(root, "POST", "/admin/tenants", { id: "turned", name: "turned" });
    const location = driver === "postgres" ? {} : { "database.path": join(server.dataDir, "stacyvm.db") };
    await as(place, "PUT", "/secrets/TURNED", content);
    await as(place, "PUT", "/tenant/registry-credentials/a.test", { username: "me", password: "secret" });
    const kept = (await as(place, "GET", "/secrets")).text;
    await server.stop();
    const sealed = async () => {
      const dsn = database["database.dsn"];
      const at = { driver: "sqlite", path: location["database.path"] ?? "" } as const;
      const open = openDatabase(dsn === undefined ? at : { driver: "postgres", dsn: new Secret(dsn) });
      const secrets = await open.queries.selectFrom("secrets").select("sealed").execute();
      const credentials = await open.queries.selectFrom("registry_credentials").select("sealed").execute();
      await open.queries.destroy();
      return [...secrets, ...credentials].map((row) => row.sealed.split(".")[1]);
    };
    const [before] = await sealed();
    const count = (await sealed()).length;
    const next = { ...location, "server.secrets_key": "n".repeat(40) };
    {
      await using lost = await startServer({ config: config(next) });
      expect((await ask(lost.url, root, "POST", "/secrets/rotate")).body).toEqual({ resealed: 0, kept: count });
    }
    await using rotated = await startServer({
      config: config({ ...next, "server.previous_secrets_keys": `${"o".repeat(40)},${"e".repeat(40)}` }),
    });
    expect((await ask(rotated.url, root, "POST", "/secrets/rotate")).body).toEqual({ resealed: count, kept: 0 });
    expect((await ask(rotated.url, root, "POST", "/secrets/rotate")).body).toEqual({ resealed: 0, kept: 0 });
    expect((await ask(rotated.url, place, "GET", "/secrets")).text).toBe(kept);
    expect(new Set(await sealed()).size).toBe(1);
    expect(await sealed()).not.toContain(before);
    await rotated.stop();
  });
});

test("a server of its own makes its key at first need, and keeps registry credentials under it too", async () => {
  await using server = await startServer({ config: { "auth.admin_api_key": adminKey } });
  const key = join(server.dataDir, "secrets.key");
  expect(readdirSync(server.dataDir)).not.toContain("secrets.key");
  expect((await ask(server.url, root, "PUT", "/secrets/KEY", content)).status).toBe(200);
  expect([statSync(key).mode & 0o777, readFileSync(key, "utf8")]).toEqual([
    0o600,
    expect.stringMatching(/^[0-9a-f]{64}\n$/),
  ]);
  await ask(server.url, root, "POST", "/admin/tenants", { id: "acme", name: "acme" });
  const credential = { username: "me", password: "secret" };
  const path = "/tenant/registry-credentials/a.test";
  expect((await ask(server.url, acme, "PUT", path, credential)).status).toBe(200);
});

test("a server whose key others may read doesn't start, and says what to do; then it has what it had", async () => {
  await using server = await startServer();
  await ask(server.url, {}, "PUT", "/secrets/KEY", content);
  const kept = (await ask(server.url, {}, "GET", "/secrets")).text;
  await server.stop();
  const [key, config] = [join(server.dataDir, "secrets.key"), { data_dir: server.dataDir }];
  chmodSync(key, 0o640);
  await expect(startServer({ config })).rejects.toMatchObject({
    message: expect.stringContaining("mode 0640"),
    remediation: expect.stringContaining(`chmod 600 ${key}`),
  });
  chmodSync(key, 0o600);
  await using again = await startServer({ config });
  expect((await ask(again.url, {}, "GET", "/secrets")).text).toBe(kept);
  await again.stop();
});

test.skipIf(why !== undefined)(
  "a server of a shared database makes no key, keeps nothing and says what is missing",
  async () => {
    await using postgres = await startPostgres();
    const database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    await using server = await startServer({ config: { ...database, "providers.mock.enabled": "true" } });
    for (const [method, path, body] of [
      ["PUT", "/secrets/KEY", content],
      ["POST", "/secrets/rotate", undefined],
    ] as const) {
      const refused = await ask(server.url, {}, method, path, body);
      expect([refused.status, refused.body.reason, refused.body.remediation]).toEqual([
        409,
        "secrets_key_missing",
        expect.stringContaining("server.secrets_key"),
      ]);
    }
    expect((await ask(server.url, {}, "GET", "/secrets")).body).toEqual({ secrets: [] });
  },
);
