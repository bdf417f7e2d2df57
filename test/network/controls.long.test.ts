import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { brokenWays, buildBroken } from "./controls.ts";
import { cannotReach } from "./internet.ts";
import { openField } from "./row.ts";
import { networkRows } from "./rows.ts";
import { networkTargets } from "./targets.ts";

const cases = networkTargets.flatMap((target) => Object.keys(brokenWays).map((way) => ({ ...target, way })));

test.for(cases)("without $way exactly the rows that it holds are red for $id", async ({ way, ...target }, { skip }) => {
  const reason = cannotReach() ?? target.lacks?.();
  if (reason !== undefined) skip(reason);
  const broken = brokenWays[way];
  if (broken === undefined) throw new Error(`no control ${way}`);
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-walls-"));
  chmodSync(folder, 0o755);
  try {
    await using field = await openField({ nativeDir: buildBroken(broken, join(folder, "native")) }, target);
    const red: string[] = [];
    const rows = networkRows.filter(({ notAt }) => notAt?.[target.level] === undefined);
    for (const row of rows) if ((await row.attempt(field)).through) red.push(row.id);
    const wanted = [...broken.red, ...(target.level === "proxy" ? (broken.redByProxy ?? []) : [])];
    expect(red.toSorted()).toEqual(wanted.toSorted());
  } finally {
    rmSync(folder, { recursive: true });
  }
});
