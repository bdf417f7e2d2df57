import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hostHelper } from "./host-helper.ts";

// The number is written out: a bound that somebody raises has to be raised here too.
test("of what the host program prints before it ends the last 4096 characters are told", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stacyvm-helper-"));
  const programPath = join(folder, "program");
  try {
    for (const [printed, told] of [
      [4096, 4096],
      [4097, 4096],
    ] as const) {
      writeFileSync(programPath, `#!/bin/sh\nread line\nprintf 'a%0${printed - 1}d' 7 >&2\nexit 1\n`);
      chmodSync(programPath, 0o755);
      await using helper = hostHelper({ programPath, dataRoot: folder, agentPath: join(folder, "agent") });
      const failed = await helper.call("probe", {}, AbortSignal.timeout(10_000)).catch((error: unknown) => error);
      const words = String((failed as Error).message).replace("stacyvm-host ended: ", "");
      expect([words.length, words.startsWith("a"), words.endsWith("7")]).toEqual([told, printed === told, true]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
