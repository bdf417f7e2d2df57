import * as sdk from "stacyvm";
import { afterEach, expect, test } from "vitest";
import { startServer } from "../e2e/server.ts";
import { driven } from "./driven.ts";
import { drive } from "./javascript/drive.js";
import { providerTargets } from "./provider-targets.ts";

const apiKey = "k".repeat(40);
let stack = new AsyncDisposableStack();

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

test.each(providerTargets)(
  "the TypeScript client does everything on $name, and gets the same answers",
  async (target) => {
    const { config } = stack.use(await target.open());
    const server = stack.use(await startServer({ config: { ...config, "auth.api_key": apiKey } }));
    expect(server.defaultProvider).toBe(target.provider);
    const told = await drive(sdk, { url: server.url, apiKey });
    expect(JSON.parse(JSON.stringify(told, (_key, value) => value ?? null))).toEqual(driven);
  },
);
