import { Visitor } from "../visitor.ts";
import type { Headers, World } from "../world.ts";
import { type Deed, ways } from "./deed.ts";

/** What is asked of the server as a whole, and how one comes in. */
export const serverDeeds = (world: World) => {
  const { does, send, root } = world;
  const { tells, changes, get, serves } = ways(world);
  /** Where browsers' sessions live. */
  const pages = `http://app.localhost:${new URL(world.url).port}`;
  const beginSession = async (as: Headers) => {
    const visitor = new Visitor();
    const headers = { ...as, origin: pages };
    const { status, body } = await visitor.visit(`${pages}/api/v1/session`, { method: "POST", headers });
    return { visitor, reply: { status, text: body } };
  };
  const hasSession = async (visitor: Visitor) =>
    (await visitor.visit(`${pages}/api/v1/session`)).body.includes('"by":"session"');

  return {
    "config.get": get("/config", "settings"),
    "config.update": async (as) => {
      const config = () => does("GET", "/config", undefined, root);
      const tried = await changes(as, config, (who) =>
        send(who, "PATCH", "/config", { "defaults.max_sandboxes": 999 }),
      );
      await does("PATCH", "/config", { "defaults.max_sandboxes": 1000 }, root);
      return tried;
    },
    "providers.list": get("/providers", "oci"),
    "providers.test": serves("POST", "/providers/test", { name: "oci", provider: "oci" }),
    "providers.get": get("/providers/oci", "oci"),
    "providers.health": get("/providers/oci/health", "oci"),
    "workers.list": get("/workers", "local"),
    "workers.get": get("/workers/local", "local"),
    "workers.issueToken": (as) =>
      tells(as, "stacyvm-worker-v1.", (who) => send(who, "POST", "/admin/worker-tokens", { worker_id: "worker-b" })),
    "metrics.json": get("/metrics", "sandboxes"),
    "metrics.prometheus": get("/metrics/prometheus", "stacyvm_"),
    "session.read": get("/session", '"caller"'),
    "session.create": async (as) => {
      const { visitor, reply } = await beginSession(as);
      return { reply, shows: await hasSession(visitor) };
    },
    "session.end": async (as) => {
      const { visitor } = await beginSession(as);
      const had = await hasSession(visitor);
      const credential = had ? {} : as;
      const headers = { ...credential, origin: pages };
      const { status, body } = await visitor.visit(`${pages}/api/v1/session`, { method: "DELETE", headers });
      return { reply: { status, text: body }, shows: had && !(await hasSession(visitor)) };
    },
    "session.authorize": async (as) => {
      const { status, body, headers } = await new Visitor().visit(`${pages}/api/v1/session/authorize`, {
        headers: as,
        follow: false,
      });
      const shows = headers.location?.includes("code_challenge=") === true;
      return { reply: { status, text: body }, shows };
    },
    "session.callback": async (as) => {
      const url = `${pages}/api/v1/session/callback?code=x&state=y`;
      const { status, body, setCookies } = await new Visitor().visit(url, { headers: as, follow: false });
      return { reply: { status, text: body }, shows: setCookies.length > 0 };
    },
    "system.poolStatus": get("/pool/status", "enabled"),
    "system.stats": get("/system/stats", "cpu_pct"),
    "system.snapshots": get("/snapshots", "["),
    "system.health": get("/health", "status"),
    "system.live": get("/live", "alive"),
    "system.ready": get("/ready", "status"),
    "system.openapi": get("/openapi.json", "openapi"),
  } satisfies Record<string, Deed>;
};
