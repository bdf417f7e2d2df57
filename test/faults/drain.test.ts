import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { sandboxesOf } from "./api.ts";
import { type FaultHost, makeFaultHost } from "./server-process.ts";

describe.runIf(process.getuid?.() === 0).each(["oci", "mock"])("SIGTERM, sandboxes by %s", (provider) => {
  let host: FaultHost;
  beforeAll(async () => {
    host = await makeFaultHost({ "providers.default": provider });
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  it("lets what is being served end, takes nothing new, and keeps the sandboxes", async () => {
    const first = await host.start();
    const sandboxes = sandboxesOf(first.url);
    const { id } = await sandboxes.spawn(provider);
    const served = sandboxes.sh(id, "touch started; while [ ! -e go ]; do sleep 0.01; done; echo done");
    await vi.waitFor(async () => expect(await sandboxes.sh(id, "ls")).toContain("started"));
    // An upload that is under way when the signal comes says when the command may end.
    const upload = new TransformStream<Uint8Array, Uint8Array>();
    const writer = upload.writable.getWriter();
    const put = fetch(`${first.url}/api/v1/sandboxes/${id}/files?path=go`, {
      method: "PUT",
      body: upload.readable,
      duplex: "half",
    });
    await writer.write(Buffer.from("g"));
    await vi.waitFor(async () => expect(Number(await sandboxes.sh(id, "ls -A | wc -l"))).toBe(2));
    first.signal("SIGTERM");
    const refused = async () => (await fetch(`${first.url}/api/v1/sandboxes`, { method: "POST" })).status === 503;
    await vi.waitFor(async () => expect(await refused().catch(() => true)).toBe(true));
    await writer.write(Buffer.from("o"));
    await writer.close();
    expect((await put).status).toBe(200);
    expect(await served).toBe("done\n");
    expect(await first.ended).toBe("0");

    const second = await host.start();
    expect(await sandboxesOf(second.url).sh(id, "cat go")).toBe("go");
    await sandboxesOf(second.url).destroy(id);
  });
});
