import { expect, test } from "vitest";
import type { Provider } from "../providers/provider.ts";
import { withProxyVariables } from "./proxy-variables.ts";

const on = (egressLevel?: "proxy" | "transparent") =>
  ({ capabilities: egressLevel === undefined ? {} : { egressLevel } }) as unknown as Provider;

test("programs are told of the proxy where it is the way out, and nowhere else", () => {
  const proxy = "http://127.0.0.1:3128";
  expect(withProxyVariables(on("proxy"), "egress", {})).toEqual({
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: "localhost,127.0.0.1,::1",
    no_proxy: "localhost,127.0.0.1,::1",
    NODE_USE_ENV_PROXY: "1",
  });
  expect(withProxyVariables(on("proxy"), "none", {})).toEqual({});
  expect(withProxyVariables(on("transparent"), "egress", { A: "1" })).toEqual({ A: "1" });
  expect(withProxyVariables(on(), "egress", {})).toEqual({});
});

test("what the image or the caller set counts, in whatever case", () => {
  const env = withProxyVariables(on("proxy"), "egress", { https_proxy: "", No_Proxy: "internal.example" });
  expect(Object.keys(env).toSorted()).toEqual([
    "HTTP_PROXY",
    "NODE_USE_ENV_PROXY",
    "No_Proxy",
    "http_proxy",
    "https_proxy",
  ]);
  expect(env.https_proxy).toBe("");
});
