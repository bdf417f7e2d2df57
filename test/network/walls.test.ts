import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addressRowsHeld, brokenWays, buildBroken } from "./controls.ts";
import { cannotReach } from "./internet.ts";
import { openField } from "./row.ts";
import { networkRows } from "./rows.ts";

const reason = cannotReach();

describe.skipIf(reason !== undefined)(`what is always denied${reason === undefined ? "" : ` (${reason})`}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "stacyvm-walls-"));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const through = async (way: string, ids: readonly string[]): Promise<readonly string[]> => {
    const broken = brokenWays[way];
    if (broken === undefined) throw new Error(`no control ${way}`);
    await using field = await openField({ nativeDir: buildBroken(broken, join(folder, "native")) });
    const found: string[] = [];
    for (const row of networkRows.filter(({ id }) => ids.includes(id)))
      if ((await row.attempt(field)).through) found.push(row.id);
    return found;
  };

  test("is stopped by the packet filter where the gateway judges nothing", async () => {
    expect(await through("table", addressRowsHeld)).toEqual([]);
  });

  test("is stopped by the gateway where there is no packet filter", async () => {
    expect(await through("filter", addressRowsHeld)).toEqual([]);
  });

  test("is reached, every row of it, where there is neither", async () => {
    expect(await through("addresses", addressRowsHeld)).toEqual(addressRowsHeld);
  });
});
