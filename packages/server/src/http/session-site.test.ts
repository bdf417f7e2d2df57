import { expect, test } from "vitest";
import { cookieOf, sessionSiteOf } from "./session-site.ts";

test.each([
  ["", "127.0.0.1", "http://app.localhost:7423", "7423"],
  ["", "localhost", "http://app.localhost:7423", "7423"],
  ["http://localhost:8080", "0.0.0.0", "http://app.localhost:8080", "8080"],
  ["http://127.0.0.1", "127.0.0.1", "http://app.localhost", "80"],
  ["https://[::1]:8443", "::1", "https://app.localhost:8443", "8443"],
  ["https://sandboxes.example", "0.0.0.0", "https://sandboxes.example", "443"],
  ["https://sandboxes.example:444/stacyvm/", "0.0.0.0", "https://sandboxes.example:444", "444"],
])("with the public address %j on %s sessions live at %s", (publicUrl, host, origin, port) => {
  const site = sessionSiteOf(publicUrl, host, 7423);
  expect(site).toMatchObject({ origin, sessionCookie: `__Host-stacyvm-${port}` });
  expect(`http://${site?.authority}`).toContain(new URL(origin).host);
});

test.each([
  ["", "0.0.0.0"],
  ["", "10.0.0.1"],
  ["http://sandboxes.example", "127.0.0.1"],
  ["http://10.0.0.1", "10.0.0.1"],
])("with the public address %j on %s there are none: browsers keep no secure cookie there", (publicUrl, host) => {
  expect(sessionSiteOf(publicUrl, host, 7423)).toBeUndefined();
});

test.each([
  ["a=1", "1"],
  ["x=2; a=1; aa=3", "1"],
  ["a=1; a=1", undefined],
  ["A=1", undefined],
  ["xa=1", undefined],
  ["", undefined],
])("the cookie a of %j is %j", (cookie, value) => {
  expect(cookieOf({ cookie }, "a")).toBe(value);
});

test("a server that speaks TLS itself has its sessions there", () => {
  expect(sessionSiteOf("", "127.0.0.1", 7423, "https")?.origin).toBe("https://app.localhost:7423");
});
