import { defineOperation, json, StacyError } from "@stacyvm/contract";
import { expect, test } from "vitest";
import { z } from "zod";
import { collectLog, testApp } from "./app.testing.ts";

const thing = {
  permission: "sandbox:read",
  auditClass: "none",
  errors: ["sandbox_not_found", "provider_unavailable"],
  stream: "none",
  lenient: true,
} as const;

const readThing = defineOperation({
  ...thing,
  id: "things.read",
  method: "GET",
  path: "/api/v1/things/{id}",
  summary: "Read",
  trailingSlash: true,
  params: z.strictObject({ id: z.string() }),
  query: z.object({ limit: z.int().max(10, "must be 10 or less").optional(), all: z.boolean().optional() }),
  answers: { 200: json(z.strictObject({ id: z.string(), limit: z.int().optional(), all: z.boolean().optional() })) },
});

const makeThing = defineOperation({
  ...thing,
  id: "things.make",
  method: "POST",
  path: "/api/v1/things",
  summary: "Make",
  body: z.object({ name: z.string().optional(), count: z.int().min(0, "cannot be negative").optional() }),
  answers: { 201: json(z.strictObject({ name: z.string(), count: z.int() })) },
});

const health = defineOperation({
  ...thing,
  permission: "public",
  id: "things.health",
  method: "GET",
  path: "/api/v1/health",
  summary: "Health",
  answers: { 200: json(z.strictObject({ status: z.string() })) },
});

const operations = [readThing, makeThing, health] as const;

const handlers = {
  "things.read": async ({ params, query }: { params: { id: string }; query: object }) => {
    if (params.id === "none") throw new StacyError("sandbox_not_found", "sandbox not found: none");
    if (params.id === "crash") throw new Error("the password is hunter2");
    if (params.id === "known") throw new StacyError("internal", "the path is /srv/hidden");
    if (params.id === "down") throw new StacyError("provider_unavailable", "provider unavailable: oci");
    if (params.id === "breach") return { status: 200, body: { id: params.id, surprise: 1 } };
    return { status: 200, body: { id: params.id, ...query } };
  },
  "things.make": async ({ body }: { body: { name?: string; count?: number } }) => ({
    status: 201,
    body: { name: body.name ?? "", count: body.count ?? 0 },
  }),
  "things.health": async () => ({ status: 200, body: { status: "ok" } }),
};

const app = (options: Partial<Parameters<typeof testApp>[0]> = {}) => testApp({ operations, handlers, ...options });

test("an answer is compact JSON with a newline, without a charset, and safe inside HTML", async () => {
  const answer = await app().inject({
    method: "POST",
    url: "/api/v1/things",
    body: JSON.stringify({ name: "</script>&\u2028" }),
  });
  expect(answer.statusCode).toBe(201);
  expect(answer.headers["content-type"]).toBe("application/json");
  expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  expect(answer.body).toBe('{"name":"\\u003c/script\\u003e\\u0026\\u2028","count":0}\n');
});

test.each([
  ["any Content-Type", { "content-type": "image/png" }, '{"name":"a"}'],
  ["no valid Content-Type", { "content-type": ";;;" }, '{"name":"a"}'],
  ["keys in any case", {}, '{"NAME":"a"}'],
  ["unknown keys", {}, '{"name":"a","color":"red"}'],
  ["null as absent", {}, '{"name":"a","count":null}'],
  ["text after the first value", {}, '{"name":"a"} trailing'],
  ["the last of repeated keys", {}, '{"name":"b","name":"a"}'],
])("a lenient operation takes %s", async (_what, headers, body) => {
  const answer = await app().inject({ method: "POST", url: "/api/v1/things", headers, body });
  expect(answer.json()).toEqual({ name: "a", count: 0 });
});

test.each([
  ["an empty body", "", "invalid request body", "invalid_body"],
  ["broken JSON", "{bad", "invalid request body", "invalid_body"],
  ["a wrong type", '{"name":5}', "invalid request body", "invalid_body"],
  ["a list", "[]", "invalid request body", "invalid_body"],
  ["a bad value", '{"count":-1}', "invalid input: count cannot be negative", "invalid_input"],
  ["a key of the prototype", '{"__proto__":{"name":"a"}}', "invalid request body", "invalid_body"],
  ["deep nesting", `${"[".repeat(40)}${"]".repeat(40)}`, "invalid request body", "invalid_body"],
])("%s is refused with the reason", async (_what, body, message, reason) => {
  const answer = await app().inject({ method: "POST", url: "/api/v1/things", body });
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: "BAD_REQUEST", message, reason, request_id: expect.any(String) });
});

test("a wrong type names its field in the details", async () => {
  const answer = await app().inject({ method: "POST", url: "/api/v1/things", body: '{"name":5}' });
  expect(answer.json().details).toEqual({ problems: [{ field: "name", message: "must be string" }] });
});

test("query values become numbers and booleans, the first of repeated ones counts", async () => {
  const answer = await app().inject("/api/v1/things/a?limit=3&limit=4&all=true&other=1");
  expect(answer.json()).toEqual({ id: "a", limit: 3, all: true });
});

test.each([
  ["/api/v1/things/a?limit=x", "invalid input: limit must be number"],
  ["/api/v1/things/a?limit=11", "invalid input: limit must be 10 or less"],
  ["/api/v1/things/a?limit=%ff", "invalid input: the query is not percent-encoded UTF-8"],
  ["/api/v1/things/%ff", "invalid input: the path is not percent-encoded UTF-8"],
])("%s is refused by name", async (url, message) => {
  const answer = await app().inject(url);
  expect(answer.statusCode).toBe(400);
  expect(answer.json().message).toBe(message);
});

test("an unknown path is plain 404, another method 405 with Allow, HEAD is not GET, a slash counts only at roots", async () => {
  const unknown = await app().inject("/api/v1/nothing");
  expect([unknown.statusCode, unknown.body]).toEqual([404, "404 page not found\n"]);
  expect(unknown.headers["content-type"]).toBe("text/plain; charset=utf-8");
  const method = await app().inject({ method: "PUT", url: "/api/v1/health" });
  expect([method.statusCode, method.headers.allow, method.body]).toEqual([405, "GET", ""]);
  expect((await app().inject({ method: "HEAD", url: "/api/v1/health" })).statusCode).toBe(405);
  expect((await app().inject("/api/v1/things/a/")).statusCode).toBe(200);
  expect((await app().inject("/api/v1/health/")).statusCode).toBe(404);
});

test("a failure has code, message, reason, request id and remediation", async () => {
  const answer = await app().inject({ url: "/api/v1/things/none", headers: { "x-request-id": "mine-1" } });
  expect(answer.statusCode).toBe(404);
  expect(answer.headers["x-request-id"]).toBe("mine-1");
  expect(answer.json()).toEqual({
    code: "NOT_FOUND",
    message: "sandbox not found: none",
    reason: "sandbox_not_found",
    request_id: "mine-1",
    remediation: "List sandboxes; it may have expired.",
  });
});

test("a crash says nothing about itself on the wire, and is logged once under the request id", async () => {
  const { lines, log } = collectLog();
  const answer = await app({ log }).inject("/api/v1/things/crash");
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain("hunter2");
  const { request_id } = answer.json();
  const failures = lines.filter((line) => line.msg === "request failed");
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject({ request_id, err: { message: "the password is hunter2" } });
});

test("a catalogued 500 doesn't show its message either", async () => {
  const answer = await app().inject("/api/v1/things/known");
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain("hidden");
});

test("a provider that can't serve says which one", async () => {
  const answer = await app().inject("/api/v1/things/down");
  expect([answer.statusCode, answer.json().message]).toEqual([503, "provider unavailable: oci"]);
});

test("an answer that its row doesn't declare fails where answers are checked, and only there", async () => {
  expect((await app().inject("/api/v1/things/breach")).statusCode).toBe(500);
  expect((await app({ validateResponses: false }).inject("/api/v1/things/breach")).statusCode).toBe(200);
});

test.each(["a b", "x".repeat(129), 'a"b', "ümlaut"])("the request id %j is not echoed", async (id) => {
  const answer = await app().inject({ url: "/api/v1/health", headers: { "x-request-id": id } });
  expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
});

test("the access line names method, path without query, status, size and request id", async () => {
  const { lines, log } = collectLog();
  await app({ log }).inject({ url: "/api/v1/things/a?limit=1", headers: { "x-request-id": "r1" } });
  expect(lines).toContainEqual(
    expect.objectContaining({
      msg: "request",
      method: "GET",
      path: "/api/v1/things/a",
      status: 200,
      size: 21,
      duration: expect.any(Number),
      request_id: "r1",
    }),
  );
});

test("the application doesn't start with a row without handler, or a handler without row", () => {
  const { "things.health": _left, ...rest } = handlers;
  expect(() => app({ handlers: rest })).toThrow("operations without a handler: things.health");
  expect(() => app({ handlers: { ...handlers, "things.none": async () => ({}) } })).toThrow("without an operation");
});
