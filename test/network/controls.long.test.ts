import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { brokenWays, buildBroken } from "./controls.ts";
import { cannotReach } from "./internet.ts";
import { openField } from "./row.ts";
import { networkRows } from "./rows.ts";

test.for(Object.keys(brokenWays))("without %s exactly the rows that it holds are red", async (way, { skip }) => {
  const reason = cannotReach();
  if (reason !== undefined) skip(reason);
  const broken = brokenWays[way];
  if (broken === undefined) throw new Error(`no control ${way}`);
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-walls-"));
  chmodSync(folder, 0o755);
  try {
    await using field = await openField({ nativeDir: buildBroken(broken, join(folder, "native")) });
    const red: string[] = [];
    for (const row of networkRows) if ((await row.attempt(field)).through) red.push(row.id);
    expect(red.toSorted()).toEqual(broken.red.toSorted());
  } finally {
    rmSync(folder, { recursive: true });
  }
});
