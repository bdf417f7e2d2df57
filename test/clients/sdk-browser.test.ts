import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { installPacked } from "../../packages/sdk/test/packed.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { missingChromium, openChromium } from "./chromium.ts";
import { driven } from "./driven.ts";
import { openSite, type Site } from "./pages.ts";

const apiKey = "k".repeat(40);
const stack = new AsyncDisposableStack();
let server: TestServer;
let allowed: Site;
let page: Page;

beforeEach((context) => {
  const reason = missingChromium();
  if (reason !== undefined) context.skip(reason);
});

beforeAll(async () => {
  if (missingChromium() !== undefined) return;
  const home = await mkdtemp(join(tmpdir(), "stacyvm-browser-"));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const packed = await installPacked(home);
  const script = async (path: string) => ({ type: "text/javascript", body: await readFile(path) });
  allowed = stack.use(
    await openSite({
      "/": { type: "text/html", body: `<script type="importmap">{"imports":{"stacyvm":"/sdk.js"}}</script>` },
      "/sdk.js": await script(join(packed, "dist", "index.js")),
      "/drive.js": await script(join(import.meta.dirname, "javascript", "drive.js")),
    }),
  );
  const config = { "auth.api_key": apiKey, "server.cors_allowed_origins": allowed.origin };
  server = stack.use(await startServer({ config }));
  const { context } = stack.use(await openChromium());
  page = await context.newPage();
});

afterAll(() => stack.disposeAsync());

/** The page imports the client by its name and does what the runtimes do. */
const driveInPage = async (origin: string): Promise<unknown> => {
  await page.goto(origin);
  const options = JSON.stringify({ url: server.url, apiKey });
  const told: string = await page.evaluate(
    `Promise.all([import("stacyvm"), import("/drive.js")])
      .then(async ([sdk, { drive }]) => JSON.stringify(await drive(sdk, ${options})))`,
  );
  return JSON.parse(told);
};

test("the packed client does everything in a page of an allowed origin, with a key", async () => {
  expect(await driveInPage(allowed.origin)).toEqual(driven);
});

test("a page of any other origin gets nothing, not even with the key", async () => {
  const other = allowed.origin.replace("127.0.0.1", "localhost");
  await expect(driveInPage(other)).rejects.toThrow(/Cannot connect to StacyVM server/);
});
