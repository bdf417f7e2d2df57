import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { post } from "./api.ts";
import { startServer, type TestServer, type TestServerOptions } from "./server.ts";

interface Answer {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

const why = await whyNoPostgres();
const databases = ["sqlite", ...(why === undefined ? ["postgres"] : [])] as const;

describe.each(databases)("on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let server: TestServer;
  let sandboxes: string;
  const start = async (config: TestServerOptions["config"] = {}): Promise<TestServer> => {
    const dsn = driver === "postgres" ? (await postgres?.freshDatabase())?.reveal() : undefined;
    const database = dsn === undefined ? {} : { "database.driver": "postgres", "database.dsn": dsn };
    return await startServer({ config: { ...database, ...config } });
  };
  beforeAll(async () => {
    if (driver === "postgres") postgres = await startPostgres();
    server = await start();
    sandboxes = `${server.url}/api/v1/sandboxes`;
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  const spawn = async (body: object, headers: Record<string, string> = {}) => {
    const answer = await post(sandboxes, body, headers);
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Answer };
  };
  const destroy = (id: string) => fetch(`${sandboxes}/${id}`, { method: "DELETE" });
  const all = async (): Promise<Answer[]> => (await (await fetch(sandboxes)).json()) as Answer[];

  test("of many spawns at once under one name one comes in, and the others are told whose it is", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => spawn({ name: "web" })));
    const made = answers.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    for (const { status, body } of answers) {
      if (status === 201) continue;
      expect({ status, reason: body.reason }).toEqual({ status: 409, reason: "already_exists" });
      expect(body.details).toEqual({ name: "web", sandbox_id: made[0]?.body.id });
    }
    const other = await spawn({ name: "web" }, { "X-User-ID": "somebody-else" });
    expect(other.status).toBe(201);
    for (const { id } of await all()) await destroy(id);
    const again = await spawn({ name: "web" });
    expect(again.status).toBe(201);
    await destroy(again.body.id);
  });

  test("get-or-create makes one sandbox, which all that ask at once get when it serves", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => spawn({ name: "db", if_exists: "get" })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(answers.every(({ body }) => body.state === "running")).toBe(true);
    const id = answers[0]?.body.id ?? "";
    expect(await all()).toHaveLength(1);
    // One that is going is waited for.
    const [gone, next] = await Promise.all([destroy(id), spawn({ name: "db", if_exists: "get" })]);
    expect(gone.status).toBe(200);
    expect(next.body.state).toBe("running");
    for (const left of await all()) await destroy(left.id);
  });

  test("one key makes one sandbox, also where the requests come together, in another order of keys, and later", async () => {
    const headers = { "Idempotency-Key": "order 4711" };
    const spec = { env: { A: "1", B: "2" }, labels: { a: "b" } };
    const turned = { labels: { a: "b" }, env: { B: "2", A: "1" } };
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => spawn(n % 2 === 0 ? spec : turned, headers)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const replayed = answers.filter((answer) => answer.headers.get("idempotency-replayed") === "true");
    expect(replayed).toHaveLength(7);
    const id = answers[0]?.body.id ?? "";
    expect((await spawn(spec, headers)).body.id).toBe(id);
    expect(await all()).toHaveLength(1);

    const reused = await spawn({ ...spec, env: { A: "1", B: "3" } }, headers);
    expect({ status: reused.status, reason: reused.body.reason }).toEqual({
      status: 409,
      reason: "idempotency_key_reused",
    });
    const others = await spawn(spec, { ...headers, "X-User-ID": "somebody-else" });
    expect(others.status).toBe(201);
    expect(others.body.id).not.toBe(id);
    await destroy(others.body.id);

    await destroy(id);
    const late = await spawn(spec, headers);
    expect({ status: late.status, reason: late.body.reason }).toEqual({ status: 404, reason: "sandbox_destroyed" });
    expect(await all()).toEqual([]);
  });

  test("a spawn that fails frees its key", async () => {
    const headers = { "Idempotency-Key": "fails" };
    const failed = await spawn({ user: "nobody-of-that-name" }, headers);
    expect(failed.status).toBe(400);
    const made = await spawn({}, headers);
    expect(made.status).toBe(201);
    await destroy(made.body.id);
  });

  test.each(["", "x".repeat(256), "tab\there"])("the key %j is refused", async (key) => {
    const { status, body } = await spawn({}, { "Idempotency-Key": key });
    expect({ status, reason: body.reason }).toEqual({ status: 400, reason: "invalid_input" });
  });

  test("a key, a name and what was configured outlive the server, whatever became of the user inside", async () => {
    const dsn = driver === "postgres" ? (await postgres?.freshDatabase())?.reveal() : undefined;
    const config = dsn === undefined ? {} : { "database.driver": "postgres", "database.dsn": dsn };
    const headers = { "Idempotency-Key": "survives" };
    const spec = { name: "web", env: { A: "kept" }, workdir: "/srv", user: "user" };
    await using first = await startServer({ config });
    const made = (await (await post(`${first.url}/api/v1/sandboxes`, spec, headers)).json()) as Answer;
    const rename = { command: "sed -i s/^user:/renamed:/ /etc/passwd", user: "0" };
    expect((await post(`${first.url}/api/v1/sandboxes/${made.id}/exec`, rename)).status).toBe(200);
    await first.stop();
    await using second = await startServer({ config: { ...config, data_dir: first.dataDir } });
    const url = `${second.url}/api/v1/sandboxes`;
    const replayed = (await (await post(url, spec, headers)).json()) as Answer;
    expect(replayed.id).toBe(made.id);
    expect(((await (await post(url, { ...spec, if_exists: "get" })).json()) as Answer).id).toBe(made.id);
    const nobody = await post(`${url}/${made.id}/exec`, { command: "true" });
    expect(await nobody.json()).toMatchObject({ reason: "invalid_input", message: expect.stringContaining("user") });
    const ran = await post(`${url}/${made.id}/exec`, { command: "echo $A; pwd; id -u", user: "1000" });
    expect(await ran.json()).toMatchObject({ stdout: "kept\n/srv\n1000\n" });
  });
});
