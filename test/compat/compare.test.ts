import { expect, test } from "vitest";
import { compareAnswers, metricTypes } from "./compare.ts";
import { type Received, substitute } from "./exchange.ts";
import { asked, inOurNames, intended, type Surroundings } from "./expectation.ts";

const received = (json: unknown, more: Partial<Received> = {}): Received => ({
  status: 200,
  headers: { "content-type": "application/json" },
  json,
  text: JSON.stringify(json),
  tookMs: 1,
  ...more,
});
const recorded = (json: unknown) => ({ status: 200, headers: { "content-type": "application/json" }, json });
const here: Surroundings = { provider: "oci", previewDomain: "localhost:7", values: new Map(), renamed: new Map() };

test("an equal answer, and one with more keys, differ in nothing", () => {
  expect(compareAnswers(recorded({ a: 1 }), received({ a: 1 }))).toEqual([]);
  expect(compareAnswers(recorded({ a: 1 }), received({ a: 1, b: 2 }))).toEqual([]);
});

test.for([
  ["a missing key", { a: 1, b: 2 }, { a: 1 }, "json.b: missing"],
  ["another type", { a: 1 }, { a: "1" }, "json.a: number expected, string received"],
  ["null for a list", { a: [] }, { a: null }, "json.a: array expected, null received"],
  ["another value", { a: "x" }, { a: "y" }, 'json.a: "x" expected, "y" received'],
  ["a list of another length", { a: [1] }, { a: [1, 2] }, "json.a: 1 items expected, 2 received"],
  ["a value deep inside", { a: [{ b: { c: 1 } }] }, { a: [{ b: { c: 2 } }] }, "json.a[0].b.c: 1 expected, 2 received"],
  [
    "a time that is none",
    { created_at: "2026-01-01T00:00:00Z" },
    { created_at: "soon" },
    'json.created_at: "soon" is not like',
  ],
  ["a duration that is none", { duration: "59.9ms" }, { duration: "59.9" }, 'json.duration: "59.9" is not like'],
  ["a varying key of another type", { id: "a" }, { id: 1 }, "json.id: string expected, number received"],
] as const)("%s is a difference", ([, expected, actual, complaint]) => {
  expect(compareAnswers(recorded(expected), received(actual))).toEqual([expect.stringContaining(complaint)]);
});

test("status, content type and text are compared", () => {
  expect(compareAnswers(recorded({}), received({}, { status: 201 }))[0]).toMatch(/^status: 200 expected, 201/);
  expect(compareAnswers(recorded({}), received({}, { headers: {} }))[0]).toMatch(/^header content-type/);
  expect(compareAnswers({ status: 200, headers: {}, text: "a" }, received({}))[0]).toMatch(/^text: "a" expected/);
});

test("ids, times and sizes may have other values", () => {
  const then = { id: "a", created_at: "2026-01-01T00:00:00Z", duration: "59.9ms", mem_bytes: 1, version: "dev" };
  const now = { id: "b", created_at: "2027-01-01T00:00:00.5+02:00", duration: "1h0m0s", mem_bytes: 2, version: "v1" };
  expect(compareAnswers(recorded(then), received(now))).toEqual([]);
  expect(compareAnswers(recorded({ version: 1 }), received({ version: 2 }))).toHaveLength(1);
});

test("a closed set of keys admits no other", () => {
  const complaints = compareAnswers(recorded({ a: 1 }), received({ a: 1, b: 2 }), { closed: ["a"] });
  expect(complaints).toEqual(["json.b: old clients refuse this key"]);
});

test("a directory's order is its own", () => {
  const entries = [
    { path: "/a", size: 1 },
    { path: "/b", size: 2 },
  ];
  expect(compareAnswers(recorded(entries), received([...entries].reverse()))).toEqual([]);
});

test("an intended difference is laid over what was recorded", () => {
  const difference = { reason: "", instead: { status: 400, json: { code: "BAD_REQUEST" } }, without: ["gone"] };
  expect(
    intended({ status: 500, headers: {}, json: { code: "INTERNAL_ERROR", message: "m", gone: 1 } }, difference),
  ).toEqual({
    status: 400,
    headers: {},
    json: { code: "BAD_REQUEST", message: "m" },
  });
});

test("saved values, the provider's name and made ids stand in this run's names", () => {
  const values = new Map([["id", "sb-new"]]);
  const renamed = new Map([["sb-old", "sb-new"]]);
  const surroundings = { ...here, values, renamed };
  const row = { name: "r", request: { method: "GET", path: "/providers/docker/{{id}}" }, response: recorded({}) };
  expect(asked(row, undefined, surroundings).path).toBe("/providers/oci/sb-new");
  expect(
    inOurNames(recorded({ message: "timeout: sb-old", docker: true, name: "docker" }), surroundings, true).json,
  ).toEqual({
    message: "timeout: sb-new",
    oci: true,
    name: "oci",
  });
  expect(substitute({ a: ["{{id}}", "{{none}}"] }, values)).toEqual({ a: ["sb-new", "{{none}}"] });
});

test("a metric is declared by a whole line only", () => {
  expect([...metricTypes("# TYPE a gauge\n# TYPE b counter\n# TYPE c gau")]).toEqual([
    ["a", "gauge"],
    ["b", "counter"],
  ]);
});
