import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startIssuer, type TestIssuer } from "../auth/issuer.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { type Browser, missingChromium, openChromium } from "./chromium.ts";
import { openSite, type Site } from "./pages.ts";

const audience = "https://sandboxes.example";
const stack = new AsyncDisposableStack();
let issuer: TestIssuer;
let server: TestServer;
let app: Site;
let browser: Browser;
let page: Page;
let origin: string;

beforeEach((context) => {
  const reason = missingChromium();
  if (reason !== undefined) context.skip(reason);
});

beforeAll(async () => {
  if (missingChromium() !== undefined) return;
  issuer = stack.use(await startIssuer({ audience, people: { alice: { groups: ["chiefs"] } } }));
  const config = {
    "auth.admin_api_key": "a".repeat(40),
    "auth.oidc_issuer": issuer.url,
    "auth.oidc_audience": audience,
    "auth.oidc_client_id": "web",
    "auth.oidc_client_secret": "a client's secret that is long enough",
    "auth.oidc_admin_groups": "chiefs",
  };
  server = stack.use(await startServer({ config }));
  origin = `http://app.localhost:${new URL(server.url).port}`;
  issuer.allowRedirect(`${origin}/api/v1/session/callback`);
  issuer.setPerson("alice");
  app = stack.use(await openSite({ "/": { type: "text/html", body: "<p>an app</p>" } }));
  browser = stack.use(await openChromium());
  page = await browser.context.newPage();
});

afterAll(() => stack.disposeAsync());

/** What the server tells a person who types the address. */
const state = async (): Promise<{ readonly caller?: { readonly role: string; readonly by: string } }> => {
  await page.goto("about:blank");
  const answer = await page.goto(`${origin}/api/v1/session`);
  return (await answer?.json()) as object;
};

const nameOfPort = (host: string, site: string): string => `http://${host}:${new URL(site).port}`;

test("a person who begins at localhost logs in with the issuer and has a session at app.localhost alone", async () => {
  expect(await state()).not.toHaveProperty("caller");
  await page.goto(`${nameOfPort("localhost", origin)}/api/v1/session/authorize?return_to=/api/v1/live`);
  expect(page.url()).toBe(`${origin}/api/v1/live`);
  expect(await state()).toMatchObject({ caller: { role: "admin", by: "session" } });
  const cookies = (await browser.context.cookies()).filter(({ name }) => name.startsWith("__Host-stacyvm"));
  expect(cookies).toEqual([
    expect.objectContaining({
      ...{ name: `__Host-stacyvm-${new URL(origin).port}`, domain: "app.localhost", path: "/" },
      ...{ httpOnly: true, secure: true, sameSite: "Strict" },
    }),
  ]);
});

test("an app on another port of localhost, and one of a preview's name, gets none of our cookies", async () => {
  expect(await state()).toHaveProperty("caller");
  for (const host of ["localhost", "127.0.0.1", "3000-sb-0123456789abcdef.localhost"]) {
    const before = app.visits.length;
    await page.goto(`${nameOfPort(host, app.origin)}/`);
    expect(await page.evaluate("document.cookie")).toBe("");
    await page.evaluate(`fetch("/again", { credentials: "include" })`);
    const seen = app.cookies.slice(before);
    expect(app.visits.slice(before)).toEqual(expect.arrayContaining(["/", "/again"]));
    expect([host, seen.filter((cookie) => cookie.includes("stacyvm"))]).toEqual([host, []]);
  }
});

test.each(["localhost", "3000-sb-0123456789abcdef.localhost", "app.localhost"])(
  "a page of %s on another port neither uses the session nor ends it",
  async (host) => {
    expect(await state()).toHaveProperty("caller");
    await page.goto(`${nameOfPort(host, app.origin)}/`);
    const tried: string = await page.evaluate(`(async () => {
      const ask = (method, mode) => fetch("${origin}/api/v1/session", { method, mode, credentials: "include" })
        .then((answer) => answer.type, () => "refused");
      return JSON.stringify([await ask("DELETE", "cors"), await ask("GET", "cors"), await ask("POST", "no-cors")]);
    })()`);
    expect(JSON.parse(tried)).toEqual(["refused", "refused", "opaque"]);
    const opened: string = await page.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket("${origin.replace("http", "ws")}/api/v1/sandboxes/sb-0000000000000000/exec/ws");
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    })`);
    expect(opened).toBe("refused");
    expect(await state()).toMatchObject({ caller: { by: "session" } });
  },
);
