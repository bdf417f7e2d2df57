import { expect, test } from "vitest";
import { z } from "zod";
import { errorCatalogue } from "../errors.ts";
import { auditFieldClass, commonErrors, defineOperation, json, pathParameters, permissions } from "../operation.ts";
import { operationTable as operations } from "./table.ts";

const unique = (values: readonly string[]) => expect(values.filter((value, at) => values.indexOf(value) !== at));

test("no two operations share an id, or method and path", () => {
  unique(operations.map(({ id }) => id)).toEqual([]);
  unique(operations.map(({ method, path }) => `${method} ${path.replace(/\{[^}]+\}/g, "{}")}`)).toEqual([]);
});

test.each(operations.map((operation) => [operation.id, operation] as const))("%s is a sound row", (id, operation) => {
  expect(id).toMatch(/^[a-z]+\.[a-zA-Z]+$/);
  expect(permissions).toContain(operation.permission);
  expect(operation.summary).toMatch(/^[A-Z][^\n]{3,110}[^.]$/);
  for (const reason of operation.errors) {
    expect(Object.keys(errorCatalogue)).toContain(reason);
    expect(commonErrors).not.toContain(reason);
  }
  expect(Object.keys(operation.params?.shape ?? {}).sort()).toEqual([...pathParameters(operation.path)].sort());
  const fields = [
    ...Object.keys(operation.params?.shape ?? {}),
    ...Object.keys(operation.query?.shape ?? {}),
    ...(operation.body instanceof z.ZodObject ? Object.keys(operation.body.shape) : []),
  ];
  for (const field of Object.keys(operation.auditFields ?? {})) expect(fields).toContain(field);
  expect(Object.keys(operation.answers)).not.toEqual([]);
});

test("only the descriptions of the server itself and the ways to log in need no credential", () => {
  expect(operations.filter(({ permission }) => permission === "public").map(({ path }) => path)).toEqual([
    "/api/v1/session",
    "/api/v1/session/authorize",
    "/api/v1/session/callback",
    "/api/v1/health",
    "/api/v1/live",
    "/api/v1/ready",
    "/openapi.json",
  ]);
});

test("only links to files prove themselves by a signature, and nothing else goes under their address", () => {
  expect(operations.filter(({ permission }) => permission === "signature").map(({ id }) => id)).toEqual([
    "files.readSigned",
    "files.headSigned",
    "files.writeSigned",
  ]);
});

const row = {
  id: "t.t",
  method: "GET",
  path: "/t",
  summary: "Test",
  permission: "public",
  auditClass: "read",
  auditFields: { name: "public" },
  errors: [],
  stream: "none",
  answers: { 200: json(z.string()) },
} as const;

test("a field without an audit class is secret, whatever its name", () => {
  const operation = defineOperation(row);
  expect(auditFieldClass(operation, "name")).toBe("public");
  expect(auditFieldClass(operation, "other")).toBe("secret");
  expect(auditFieldClass(operation, "constructor")).toBe("secret");
});

test("a row without a permission or an audit class doesn't compile", () => {
  const { permission: _permission, ...withoutPermission } = row;
  const { auditClass: _auditClass, ...withoutAuditClass } = row;
  // @ts-expect-error permission is missing
  defineOperation(withoutPermission);
  // @ts-expect-error auditClass is missing
  defineOperation(withoutAuditClass);
  // @ts-expect-error not one of the closed union
  defineOperation({ ...row, permission: "everything" });
  // @ts-expect-error not a reason of the catalogue
  defineOperation({ ...row, errors: ["oops"] });
  expect(permissions).not.toContain("everything");
});
