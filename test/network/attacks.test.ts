import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { verdictsIn } from "../security/report.ts";
import { cannotReach } from "./internet.ts";
import { type NetworkField, openField } from "./row.ts";
import { networkRows } from "./rows.ts";
import { networkTargets } from "./run.ts";

const document = resolve(import.meta.dirname, "../../docs/security/attacks.md");
const written = verdictsIn(readFileSync(document, "utf8"));
const reason = cannotReach();
beforeEach(({ skip }) => {
  if (reason !== undefined) skip(reason);
});

describe("a hostile sandbox of oci", () => {
  let field: NetworkField & AsyncDisposable;
  beforeAll(async () => {
    if (reason !== undefined) return;
    field = await openField();
  });
  afterAll(async () => {
    await field?.[Symbol.asyncDispose]();
  });

  test.for(networkRows.map(({ id }) => id))("%s is stopped", async (id) => {
    const row = networkRows.find((one) => one.id === id);
    const evidence = await row?.attempt(field);
    expect({ id, ...evidence }).toEqual({ id, through: false, said: evidence?.said });
    expect(written.get(`${networkTargets[0].id} ${id}`)).toBe("stopped");
  });
});
