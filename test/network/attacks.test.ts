import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { verdictsIn } from "../security/report.ts";
import { cannotReach } from "./internet.ts";
import { type NetworkField, openField } from "./row.ts";
import { networkRows } from "./rows.ts";
import { networkTargets } from "./targets.ts";

const document = resolve(import.meta.dirname, "../../docs/security/attacks.md");
const written = verdictsIn(readFileSync(document, "utf8"));

describe.each(networkTargets)("a hostile sandbox of $id", (target) => {
  const reason = cannotReach() ?? target.lacks?.();
  beforeEach(({ skip }) => {
    if (reason !== undefined) skip(reason);
  });
  let field: NetworkField & AsyncDisposable;
  beforeAll(async () => {
    if (reason !== undefined) return;
    field = await openField({}, target);
  });
  afterAll(async () => {
    await field?.[Symbol.asyncDispose]();
  });

  const rows = networkRows.filter(({ notAt }) => notAt?.[target.level] === undefined);
  test.for(rows.map(({ id }) => id))("%s is stopped", async (id) => {
    const row = rows.find((one) => one.id === id);
    const evidence = await row?.attempt(field);
    expect({ id, ...evidence }).toEqual({ id, through: false, said: evidence?.said });
    expect(written.get(`${target.id} ${id}`)).toBe("stopped");
  });
});
