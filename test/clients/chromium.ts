import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const program = "/usr/bin/chromium";

/** Why no browser can be opened here; undefined where one can. */
export const missingChromium = (): string | undefined =>
  existsSync(program) ? undefined : `${program} is missing: apt-get install chromium`;

export interface Browser extends AsyncDisposable {
  readonly context: BrowserContext;
}

const flags = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"].concat([
  "--disable-component-update",
  "--disable-sync",
]);

/** Chromium without a window, with a profile of its own that goes away with it. */
export const openChromium = async (): Promise<Browser> => {
  await using stack = new AsyncDisposableStack();
  const profile = await mkdtemp(join(tmpdir(), "stacyvm-chromium-"));
  stack.defer(() => rm(profile, { recursive: true, force: true, maxRetries: 5 }));
  // Its own sandbox needs a user that is not root.
  const options = { executablePath: program, headless: true, chromiumSandbox: false, args: flags };
  const context = await chromium.launchPersistentContext(profile, options);
  stack.defer(() => context.close());
  const running = stack.move();
  return { context, [Symbol.asyncDispose]: () => running.disposeAsync() };
};
