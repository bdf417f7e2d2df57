import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cannotReach } from "./internet.ts";
import { type NetworkField, openField } from "./row.ts";
import { networkRows } from "./rows.ts";

const reason = cannotReach();

describe.skipIf(reason !== undefined)(`a hostile sandbox of oci${reason === undefined ? "" : ` (${reason})`}`, () => {
  let field: NetworkField & AsyncDisposable;
  beforeAll(async () => {
    field = await openField();
  });
  afterAll(async () => {
    await field?.[Symbol.asyncDispose]();
  });

  test.for(networkRows.map(({ id }) => id))("%s is stopped", async (id) => {
    const row = networkRows.find((one) => one.id === id);
    const evidence = await row?.attempt(field);
    expect({ id, ...evidence }).toEqual({ id, through: false, said: evidence?.said });
  });
});
