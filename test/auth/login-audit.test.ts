import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditStore } from "../../packages/server/src/store/audit.ts";
import { type DatabaseLocation, openDatabase } from "../../packages/server/src/store/open-database.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { clientSecret, startIssuer, type TestIssuer } from "./issuer.ts";
import { Visitor } from "./visitor.ts";

const [adminKey, audience] = ["a".repeat(40), "https://sandboxes.example"];
const why = await whyNoPostgres();

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("who came in, on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let location: DatabaseLocation;
  let issuer: TestIssuer;
  let server: TestServer;
  let origin: string;
  const at = (path: string): string => `${origin}/api/v1${path}`;

  beforeAll(async () => {
    let database: Record<string, string> = {};
    if (driver === "postgres") {
      postgres = await startPostgres();
      const dsn = await postgres.freshDatabase();
      database = { "database.driver": "postgres", "database.dsn": dsn.reveal() };
      location = { driver: "postgres", dsn };
    }
    const people = { alice: { groups: ["ops"] }, eve: {} };
    issuer = await startIssuer({ audience, people, clients: { ann: { groups: ["ops"], tenant_id: "acme" } } });
    server = await startServer({
      config: {
        ...database,
        "providers.mock.enabled": "true",
        "providers.default": "mock",
        "auth.admin_api_key": adminKey,
        "auth.oidc_issuer": issuer.url,
        "auth.oidc_audience": audience,
        "auth.oidc_client_id": "web",
        "auth.oidc_client_secret": clientSecret,
        "auth.oidc_operator_groups": "ops",
        "auth.sessions_per_person": "2",
      },
    });
    if (driver === "sqlite") location = { driver: "sqlite", path: join(server.dataDir, "stacyvm.db") };
    origin = `http://app.localhost:${new URL(server.url).port}`;
    issuer.allowRedirect(`${origin}/api/v1/session/callback`);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await issuer?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  const rows = async (count: number) => {
    const database = openDatabase(location);
    const listed = await auditStore(database).list(count);
    await database.queries.destroy();
    return listed.toReversed();
  };
  const told = async (count: number) =>
    (await rows(count)).map(({ action, actor, tenantId, resource, status, detail }) =>
      [action, actor, tenantId, resource, status, detail].join(" | "),
    );
  const byKey = (visitor: Visitor, key = adminKey) =>
    visitor.visit(at("/session"), { method: "POST", headers: { origin, "x-api-key": key, "x-user-id": "root" } });

  test("logins, their ends, refusals and keys are in the audit with who, from where and what became of it, and no secret", async () => {
    const secrets = [adminKey];
    const visitor = new Visitor();
    const keep = () => void secrets.push(...visitor.cookies("app.localhost").split(/[=; ]+/));
    await byKey(visitor);
    keep();
    await byKey(visitor);
    keep();
    await byKey(new Visitor());
    const other = new Visitor();
    await byKey(other);
    await other.visit(at("/session"), { method: "DELETE", headers: { origin } });
    const wrong = `svm_${"w".repeat(43)}`;
    for (let n = 0; n < 5; n++) await byKey(new Visitor(), wrong);

    const headers = { "x-api-key": adminKey, "x-user-id": "root" };
    const body = { name: "ci", role: "operator" };
    const made = JSON.parse((await new Visitor().visit(at("/admin/api-keys"), { method: "POST", headers, body })).body);
    await new Visitor().visit(at(`/admin/api-keys/${made.api_key.id}`), { method: "DELETE", headers });
    const token = await issuer.token("ann");
    for (let n = 0; n < 2; n++) {
      await new Visitor().visit(at("/sandboxes"), { headers: { authorization: `Bearer ${token}` } });
    }
    for (const person of ["alice", "eve"]) {
      issuer.setPerson(person);
      await new Visitor().visit(at("/session/authorize"));
    }
    secrets.push(made.key, made.key.slice(12), token, wrong, clientSecret);

    const like = (pattern: string) => expect.stringMatching(new RegExp(`^${pattern.replaceAll("|", "\\|")}$`));
    const session = "session [0-9a-f]{12}";
    const begun = (who: string, by: string) =>
      like(`session.create | ${who} |  | ${session} | success | by=${by} from=127.0.0.1`);
    await expect
      .poll(() => told(100))
      .toEqual([
        begun("root", "X-API-Key"),
        begun("root", "X-API-Key"),
        like(`session.replace | root |  | ${session} | success | now=${session} from=127.0.0.1`),
        begun("root", "X-API-Key"),
        like(`session.evict | root |  | ${session} | success | `),
        begun("root", "X-API-Key"),
        like(`session.end | root |  | ${session} | success | from=127.0.0.1`),
        "login.refused | anonymous |  |  | failure | invalid or missing API key from=127.0.0.1",
        `key.create | root |  | ${made.api_key.id} | success | role=operator name="ci" from=127.0.0.1`,
        `key.revoke | root |  | ${made.api_key.id} | success | role=operator name="ci" from=127.0.0.1`,
        "login.token | ann | acme |  | success | from=127.0.0.1",
        begun("alice", "issuer"),
      ]);
    const text = JSON.stringify(await rows(1_000));
    for (const secret of secrets) if (secret.length > 20) expect(text).not.toContain(secret);

    await server.stop();
    expect((await told(1))[0]).toBe(
      "login.refused | anonymous |  |  | failure | 5 more in this minute, of 1 addresses",
    );
  });
});
