import { readFile } from "node:fs/promises";
import type { BrowserContext, Download, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { spawnSandbox, type TestSandbox } from "../e2e/api.ts";
import { startServer } from "../e2e/server.ts";
import { missingChromium, openChromium } from "./chromium.ts";

const stack = new AsyncDisposableStack();
let sandbox: TestSandbox;
let context: BrowserContext;

beforeEach((test) => {
  const reason = missingChromium();
  if (reason !== undefined) test.skip(reason);
});

beforeAll(async () => {
  if (missingChromium() !== undefined) return;
  const server = stack.use(await startServer());
  sandbox = stack.use(await spawnSandbox(server, {}));
  context = stack.use(await openChromium()).context;
  for (const [name, content] of Object.entries(hostile)) {
    const put = await fetch(address(name), { method: "PUT", body: content });
    expect(put.status).toBe(200);
  }
});

afterAll(() => stack.disposeAsync());

const address = (name: string) => `${sandbox.url}/files?path=${name}`;
const script = `document.documentElement.setAttribute("ran", "")`;
const hostile: Readonly<Record<string, string>> = {
  "evil.html": `<!doctype html><title>evil</title><script>${script}</script>`,
  "evil.svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>${script}</script></svg>`,
};
const types: Readonly<Record<string, string>> = { "evil.html": "text/html", "evil.svg": "image/svg+xml" };

/** Opens an address as if typed; a download is no page. */
const open = async (page: Page, url: string): Promise<Download | undefined> => {
  const download = page.waitForEvent("download", { timeout: 20_000 }).catch(() => undefined);
  const loaded = page.goto(url).then(
    () => undefined,
    () => download,
  );
  return await loaded;
};

/** Scripts have run, or not, once a page has loaded. */
const ran = (page: Page) => page.evaluate("document.documentElement.hasAttribute('ran')");

test.for(["evil.html", "evil.svg"])("%s opened by its API address is stored, and is no page", async (name) => {
  const page = await context.newPage();
  const download = await open(page, address(name));
  expect(download?.suggestedFilename()).toBe(name);
  expect(await readFile((await download?.path()) ?? "", "utf8")).toBe(hostile[name]);
  expect([page.url(), await ran(page)]).toEqual(["about:blank", false]);
  await page.close();
});

/** Shows the file as the page that it would like to be, with the API's headers but for those that are named. */
const show = async (name: string, dropped: readonly string[]): Promise<Page> => {
  const page = await context.newPage();
  await page.route(address(name), async (route) => {
    const response = await route.fetch();
    const kept = Object.entries(response.headers()).filter(([header]) => !dropped.includes(header));
    await route.fulfill({ response, headers: { ...Object.fromEntries(kept), "content-type": types[name] ?? "" } });
  });
  expect(await open(page, address(name))).toBeUndefined();
  expect(page.url()).toBe(address(name));
  return page;
};

test.for(["evil.html", "evil.svg"])("%s runs nothing by its policy alone, were it shown as a page", async (name) => {
  const page = await show(name, ["content-disposition"]);
  expect(await ran(page)).toBe(false);
  expect(await page.evaluate("origin")).toBe("null");
  await page.close();
});

test.for(["evil.html", "evil.svg"])("%s would run as the API, were it served without both", async (name) => {
  const page = await show(name, ["content-disposition", "content-security-policy"]);
  expect([await ran(page), await page.evaluate("origin")]).toEqual([true, new URL(sandbox.url).origin]);
  await page.close();
});
