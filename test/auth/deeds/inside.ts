import type { World } from "../world.ts";
import type { Box } from "./box.ts";
import { converse, type Deed, type Send, unique, ways } from "./deed.ts";

/** What is done inside a sandbox: commands, processes, ports. */
export const insideDeeds = (world: World, box: Box) => {
  const { adminInWeb, does, send } = world;
  const { inBox, inWeb, run, start, contentOf, hits, ended, running } = box;
  const { tells, changes, get, serves } = ways(world);
  const proxied =
    (method: string): Deed =>
    (as) =>
      changes(as, hits, (who) => send(who, method, `${inBox}/ports/8000/proxy/`));

  return {
    "sandboxes.logs": serves("GET", `${inBox}/logs`),
    "sandboxes.stats": get(`${inBox}/stats`, "supported"),
    "sandboxes.exec": async (as) => {
      const path = `/workspace/${unique()}`;
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "POST", `${inBox}/exec`, { command: `echo marker >${path}` }),
      );
    },
    "sandboxes.execWebSocket": async (as) => {
      const path = `/workspace/${unique()}`;
      const first = JSON.stringify({ type: "start", command: `echo marker >${path}` });
      const ask: Send = (who) => converse(`${world.url}/api/v1${inBox}/exec/ws`, who, first, () => false);
      return await changes(as, () => contentOf(path), ask);
    },
    "processes.start": (as) =>
      changes(
        as,
        async () => (await does<{ processes: unknown[] } | unknown[]>("GET", `${inBox}/processes`)) as unknown,
        (who) => send(who, "POST", `${inBox}/processes`, { command: "true" }),
      ),
    "processes.list": get(`${inBox}/processes`, running),
    "processes.get": get(`${inBox}/processes/${running}`, running),
    "processes.output": get(`${inBox}/processes/${ended}/output`, "marker"),
    "processes.stdin": async (as) => {
      const path = `/workspace/${unique()}`;
      const id = await start(`read line; echo $line >${path}; exec sleep 100000`, { stdin: true });
      const tried = await tells(as, "", (who) => send(who, "POST", `${inBox}/processes/${id}/stdin`, "marker\n"));
      if (tried.reply.status < 300) await run(`until grep -q marker ${path}; do usleep 10000; done`);
      const shows = (await contentOf(path)).includes("marker");
      await inWeb("POST", `${inBox}/processes/${id}/signal`, { signal: "SIGKILL", tree: true });
      return { ...tried, shows };
    },
    "processes.closeStdin": async (as) => {
      const path = `/workspace/${unique()}`;
      const id = await start(`cat; echo marker >${path}`, { stdin: true });
      const reply = await send(as, "DELETE", `${inBox}/processes/${id}/stdin`);
      if (reply.status < 300) await inWeb("GET", `${inBox}/processes/${id}/wait?timeout=30s`);
      const shows = (await contentOf(path)).includes("marker");
      if (!shows) await inWeb("POST", `${inBox}/processes/${id}/signal`, { signal: "SIGKILL", tree: true });
      return { reply, shows };
    },
    "processes.signal": async (as) => {
      const id = await start("exec sleep 100000");
      const reply = await send(as, "POST", `${inBox}/processes/${id}/signal`, { signal: "SIGKILL" });
      if (reply.status < 300) await inWeb("GET", `${inBox}/processes/${id}/wait?timeout=30s`);
      const { text } = await send(adminInWeb, "GET", `${inBox}/processes/${id}`);
      const shows = text.includes("exit_code");
      if (!shows) await inWeb("POST", `${inBox}/processes/${id}/signal`, { signal: "SIGKILL" });
      return { reply, shows };
    },
    "processes.resize": async (as) => {
      const id = await start("exec sleep 100000", { pty: { cols: 80, rows: 24 } });
      const { pid } = await inWeb<{ pid: number }>("GET", `${inBox}/processes/${id}`);
      const size = () => run(`stty size </proc/${pid}/fd/0`);
      const tried = await changes(as, size, (who) =>
        send(who, "POST", `${inBox}/processes/${id}/resize`, { cols: 91, rows: 33 }),
      );
      await inWeb("POST", `${inBox}/processes/${id}/signal`, { signal: "SIGKILL" });
      return tried;
    },
    "processes.wait": get(`${inBox}/processes/${ended}/wait?timeout=30s`, "exit_code"),
    "processes.socket": (as) =>
      tells(as, "marker", (who) =>
        converse(`${world.url}/api/v1${inBox}/processes/${running}/socket?offset=0`, who, undefined, (text) =>
          text.includes("marker"),
        ),
      ),
    "network.get": get(`${inBox}/network`, '"transparent"'),
    "network.put": (as) =>
      changes(
        as,
        async () => (await inWeb<{ deny: string[] }>("GET", `${inBox}/network`)).deny,
        (who) => send(who, "PUT", `${inBox}/network`, { mode: "public", deny: [`${unique()}.example`] }),
      ),
    // Refused before a packet leaves: it is of a private network.
    "network.log": async (as) => {
      // Not wget, which looks up its port by name: a static program without its libraries may die of that.
      await run("busybox nc -w 2 10.9.9.9 80 </dev/null || true");
      return await tells(as, "always_denied", (who) => send(who, "GET", `${inBox}/network/log`));
    },
    "ports.list": get(`${inBox}/ports`, "8000"),
    "ports.tunnel": (as) =>
      tells(as, "marker", (who) =>
        converse(`${world.url}/api/v1${inBox}/ports/8000/tunnel`, who, Buffer.from("GET / HTTP/1.1\r\n\r\n"), (text) =>
          text.includes("marker"),
        ),
      ),
    "ports.get": proxied("GET"),
    "ports.head": proxied("HEAD"),
    "ports.post": proxied("POST"),
    "ports.put": proxied("PUT"),
    "ports.patch": proxied("PATCH"),
    "ports.delete": proxied("DELETE"),
  } satisfies Record<string, Deed>;
};
