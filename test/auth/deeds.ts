import type { OperationId } from "@stacyvm/contract";
import { errorCatalogue } from "@stacyvm/contract";
import WebSocket from "ws";
import { Visitor } from "./visitor.ts";
import type { CallerName, Headers, Reply, World } from "./world.ts";

/** One try of an operation: what it aims at was made for it, by an administrator, in tenant acme. */
export interface Try {
  readonly reply: Reply;
  /** Whether the reply tells of the thing, or the thing is no longer what it was. */
  readonly shows: boolean;
}

/** Tries an operation as somebody. */
export type Deed = (as: Headers, caller: CallerName) => Promise<Try>;

let count = 0;
const unique = (): string => {
  count += 1;
  return `it-${count}`;
};

type Send = (as: Headers) => Promise<Reply>;

/** What the reply to a WebSocket says: its status, or that of the failure that came by a message, and all that came. */
const converse = (
  url: string,
  headers: Headers,
  first: string | Buffer | undefined,
  enough: (text: string) => boolean,
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace("http", "ws"), { headers });
    let text = "";
    socket.on("open", () => {
      if (first !== undefined) socket.send(first, { binary: typeof first !== "string" });
    });
    socket.on("message", (data: Buffer, binary) => {
      text += data.toString("latin1");
      const message = binary ? undefined : (JSON.parse(data.toString()) as { type?: string; reason?: string });
      if (message?.type === "error") {
        const reason = message.reason as keyof typeof errorCatalogue;
        resolve({ status: errorCatalogue[reason].status, text });
        socket.terminate();
      } else if (enough(text)) {
        resolve({ status: 101, text });
        socket.terminate();
      }
    });
    socket.on("unexpected-response", (_request, answer) => {
      resolve({ status: answer.statusCode ?? 0, text: "" });
      answer.resume();
      socket.terminate();
    });
    socket.on("close", () => resolve({ status: 101, text }));
    socket.on("error", reject);
  });

/** Reads a stream until it says the word, or for the reply where it is a refusal. */
const streamed = async (url: string, headers: Headers, meanwhile: () => Promise<unknown>, words: readonly string[]) => {
  const leave = new AbortController();
  const answer = await fetch(url, { headers, signal: leave.signal });
  if (answer.status !== 200) return { status: answer.status, text: await answer.text() };
  let text = "";
  const decoder = new TextDecoder();
  let started = false;
  for await (const part of answer.body ?? []) {
    text += decoder.decode(part, { stream: true });
    if (!started) await meanwhile();
    started = true;
    if (words.some((word) => text.includes(word))) break;
  }
  leave.abort();
  return { status: answer.status, text };
};

/** A deed for every operation, on what the world holds. */
export const makeDeeds = async (world: World): Promise<Readonly<Record<OperationId, Deed>>> => {
  const { admin, adminInWeb, does, send } = world;
  const root = { "X-Admin-API-Key": admin["X-Admin-API-Key"] ?? "" };
  const inWeb = <T>(method: string, path: string, body?: object | string): Promise<T> =>
    does<T>(method, path, body, adminInWeb);

  const newSandbox = async (more: object = {}): Promise<string> =>
    (await inWeb<{ id: string }>("POST", "/sandboxes", more)).id;
  const box = await newSandbox();
  const inBox = `/sandboxes/${box}`;
  const run = async (command: string): Promise<string> =>
    (await inWeb<{ stdout: string }>("POST", `${inBox}/exec`, { command })).stdout;
  const start = async (command: string, more: object = {}): Promise<string> =>
    (await inWeb<{ id: string }>("POST", `${inBox}/processes`, { command, ...more })).id;
  const file = async (): Promise<string> => {
    const path = `/workspace/${unique()}`;
    await inWeb("POST", `${inBox}/files`, { path, content: "marker" });
    return path;
  };
  const contentOf = (path: string) => run(`cat ${path} 2>/dev/null || echo none`);
  const hits = () => run("cat /workspace/hits 2>/dev/null | wc -l");

  // An app that notes each request, and answers all of them alike.
  const answer = "HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nX-App: marker\\r\\nConnection: close\\r\\n\\r\\nmarker";
  const app = `#!/bin/sh\nread method rest\necho $method >>/workspace/hits\nprintf '${answer}'\n`;
  await inWeb("POST", `${inBox}/files`, { path: "/workspace/app.sh", content: app, mode: "0755" });
  await start("busybox nc -ll -p 8000 -e /workspace/app.sh");
  await inWeb("POST", `${inBox}/exec`, {
    command: "until grep -q ':1F40 ' /proc/net/tcp /proc/net/tcp6; do usleep 10000; done",
  });

  /** The reply tells the word. */
  const tells = async (as: Headers, word: string, ask: Send): Promise<Try> => {
    const reply = await ask(as);
    return { reply, shows: reply.text.includes(word) };
  };
  /** What an administrator sees of it is not what it was. */
  const changes = async (as: Headers, look: () => Promise<unknown>, ask: Send): Promise<Try> => {
    const before = JSON.stringify(await look());
    const reply = await ask(as);
    return { reply, shows: JSON.stringify(await look()) !== before };
  };
  const get =
    (path: string, word: string): Deed =>
    (as) =>
      tells(as, word, (who) => send(who, "GET", path));
  const serves =
    (method: string, path: string, body?: object): Deed =>
    async (as) => {
      const reply = await send(as, method, path, body);
      return { reply, shows: reply.status < 300 };
    };
  const headed =
    (path: () => Promise<string>): Deed =>
    async (as) => {
      const reply = await send(as, "HEAD", await path());
      return { reply, shows: reply.status === 200 };
    };
  const proxied =
    (method: string): Deed =>
    (as) =>
      changes(as, hits, (who) => send(who, method, `${inBox}/ports/8000/proxy/`));

  const link = async (operation: string, path: string): Promise<string> => {
    const signed = await inWeb<{ url: string }>("POST", `${inBox}/files/sign`, { operation, path });
    return signed.url.replace(/^.*\/api\/v1/, "");
  };
  const upload = async (content?: string): Promise<{ readonly id: string; readonly path: string }> => {
    const path = `/workspace/${unique()}`;
    const begun = await inWeb<{ upload_id: string }>("POST", `${inBox}/files/uploads`, { path });
    const id = begun.upload_id;
    if (content !== undefined) await inWeb("PATCH", `${inBox}/files/uploads/${id}?offset=0`, content);
    return { id, path };
  };
  /** A sandbox holds few at a time. */
  const withUpload = async (content: string | undefined, work: (id: string, path: string) => Promise<Try>) => {
    const { id, path } = await upload(content);
    const tried = await work(id, path);
    await send(adminInWeb, "DELETE", `${inBox}/files/uploads/${id}`);
    return tried;
  };
  const offsetOf = async (id: string) => (await send(adminInWeb, "GET", `${inBox}/files/uploads/${id}`)).text;
  const template = async (): Promise<string> => {
    const name = unique();
    await does("POST", "/templates", { name, image: "alpine:latest" });
    return name;
  };
  const programKey = async () =>
    await does<{ api_key: { id: string } }>("POST", "/admin/api-keys", { name: unique(), tenant_id: "acme" }, root);
  const keysOfAcme = async () =>
    (await does<{ api_keys: { tenant_id?: string; revoked_at?: string }[] }>("GET", "/admin/api-keys")).api_keys
      .filter((key) => key.tenant_id === "acme")
      .map(({ tenant_id, revoked_at }) => [tenant_id, revoked_at]);
  const project = async (): Promise<string> => {
    const id = unique();
    await does("POST", "/admin/tenants/acme/projects", { id, name: id }, root);
    return id;
  };
  const member = async (): Promise<string> => {
    const id = unique();
    await does("PUT", `/admin/tenants/acme/members/${id}`, { role: "viewer", project_id: "web" }, root);
    return id;
  };
  const tenant = async (): Promise<string> => {
    const id = unique();
    await does("POST", "/admin/tenants", { id, name: id }, root);
    return id;
  };
  const projects = () => does("GET", "/admin/tenants/acme/projects", undefined, root);
  const members = () => does("GET", "/admin/tenants/acme/members", undefined, root);
  const tenants = () => does("GET", "/admin/tenants", undefined, root);
  const idsOfAcme = async () => (await does<{ id: string }[]>("GET", "/sandboxes")).map(({ id }) => id).toSorted();
  const newSandboxBy = (ask: Send): Deed => {
    return async (as) => {
      const before = await idsOfAcme();
      const reply = await ask(as);
      const made = (await idsOfAcme()).filter((id) => !before.includes(id));
      for (const id of made) await does("DELETE", `/sandboxes/${id}`);
      return { reply, shows: made.length === 1 };
    };
  };

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

  const seen = await file();
  await does("PUT", "/quotas/owner-of-acme", { max_sandboxes: 7 });
  const ended = await start("echo marker");
  await inWeb("GET", `${inBox}/processes/${ended}/wait?timeout=30s`);
  const running = await start("echo marker; exec sleep 100000");
  const memberOfWeb = await member();

  return {
    "sandboxes.spawn": newSandboxBy((as) => send(as, "POST", "/sandboxes", {})),
    "sandboxes.admission": serves("POST", "/sandboxes/admission", {}),
    "sandboxes.list": get("/sandboxes", box),
    "sandboxes.prune": async (as) => {
      const expired = await newSandbox({ ttl: "1ms" });
      const tried = await changes(as, idsOfAcme, (who) => send(who, "DELETE", "/sandboxes"));
      await does("DELETE", `/sandboxes/${expired}`).catch(() => undefined);
      return tried;
    },
    "sandboxes.get": get(inBox, '"state":"running"'),
    "sandboxes.destroy": async (as) => {
      const id = await newSandbox();
      const tried = await changes(as, idsOfAcme, (who) => send(who, "DELETE", `/sandboxes/${id}`));
      if (!tried.shows) await does("DELETE", `/sandboxes/${id}`);
      return tried;
    },
    "sandboxes.extend": (as) =>
      changes(
        as,
        async () => (await does<{ expires_at: string }>("GET", inBox)).expires_at,
        (who) => send(who, "POST", `${inBox}/extend`, { ttl: "2h" }),
      ),
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

    "files.read": get(`${inBox}/files?path=${seen}`, "marker"),
    "files.head": headed(async () => `${inBox}/files?path=${seen}`),
    "files.write": async (as) => {
      const path = `/workspace/${unique()}`;
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "POST", `${inBox}/files`, { path, content: "marker" }),
      );
    },
    "files.upload": async (as) => {
      const path = `/workspace/${unique()}`;
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "PUT", `${inBox}/files?path=${path}`, "marker"),
      );
    },
    "files.delete": async (as) => {
      const path = await file();
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "DELETE", `${inBox}/files?path=${path}`),
      );
    },
    "files.list": get(`${inBox}/files/list?path=/workspace`, seen.slice(11)),
    "files.move": async (as) => {
      const path = await file();
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "POST", `${inBox}/files/move`, { old_path: path, new_path: `${path}-moved` }),
      );
    },
    "files.chmod": async (as) => {
      const path = await file();
      return await changes(
        as,
        () => run(`stat -c %a ${path}`),
        (who) => send(who, "POST", `${inBox}/files/chmod`, { path, mode: "0600" }),
      );
    },
    "files.stat": get(`${inBox}/files/stat?path=${seen}`, seen.slice(11)),
    "files.glob": get(`${inBox}/files/glob?pattern=/workspace/it-*`, seen.slice(11)),
    "files.mkdir": async (as) => {
      const path = `/workspace/${unique()}`;
      return await changes(
        as,
        () => run(`ls -d ${path} 2>&1; true`),
        (who) => send(who, "POST", `${inBox}/files/mkdir`, { path }),
      );
    },
    "files.watch": async (as) => {
      const path = `/workspace/${unique()}`;
      await run(`mkdir ${path}`);
      return await tells(as, "marker", (who) =>
        streamed(
          `${world.url}/api/v1${inBox}/files/watch?path=${path}`,
          who,
          () => inWeb("POST", `${inBox}/files`, { path: `${path}/marker`, content: "" }),
          ["marker"],
        ),
      );
    },
    "files.readArchive": get(`${inBox}/files/archive?path=/workspace`, seen.slice(11)),
    "files.writeArchive": async (as) => {
      const path = `/workspace/${unique()}`;
      return await changes(
        as,
        () => run(`ls -d ${path} 2>&1; true`),
        (who) => send(who, "PUT", `${inBox}/files/archive?path=${path}`, "\0".repeat(1024)),
      );
    },
    "files.beginUpload": async (as) => {
      const reply = await send(as, "POST", `${inBox}/files/uploads`, { path: `/workspace/${unique()}` });
      const id = reply.status < 300 ? (JSON.parse(reply.text) as { upload_id: string }).upload_id : "up-0";
      const shows = (await offsetOf(id)).includes('"offset":0');
      await send(adminInWeb, "DELETE", `${inBox}/files/uploads/${id}`);
      return { reply, shows };
    },
    "files.appendUpload": (as) =>
      withUpload(undefined, (id) =>
        changes(
          as,
          () => offsetOf(id),
          (who) => send(who, "PATCH", `${inBox}/files/uploads/${id}?offset=0`, "marker"),
        ),
      ),
    "files.getUpload": (as) =>
      withUpload(undefined, (id) => tells(as, '"offset":0', (who) => send(who, "GET", `${inBox}/files/uploads/${id}`))),
    "files.headUpload": (as, caller) =>
      withUpload(undefined, (id) => headed(async () => `${inBox}/files/uploads/${id}`)(as, caller)),
    "files.commitUpload": (as) =>
      withUpload("marker", (id, path) =>
        changes(
          as,
          () => contentOf(path),
          (who) => send(who, "POST", `${inBox}/files/uploads/${id}/commit`, {}),
        ),
      ),
    "files.abortUpload": (as) =>
      withUpload(undefined, (id) =>
        changes(
          as,
          async () => (await send(adminInWeb, "GET", `${inBox}/files/uploads/${id}`)).status,
          (who) => send(who, "DELETE", `${inBox}/files/uploads/${id}`),
        ),
      ),
    "files.sign": (as) =>
      tells(as, "signature=", (who) => send(who, "POST", `${inBox}/files/sign`, { operation: "read", path: seen })),
    "files.revokeLinks": async (as) => {
      const path = await link("read", seen);
      return await changes(
        as,
        async () => (await send({}, "GET", path)).status,
        (who) => send(who, "DELETE", `${inBox}/files/sign`),
      );
    },
    "files.readSigned": async (as) => {
      const path = await link("read", seen);
      return await tells(as, "marker", (who) => send(who, "GET", path));
    },
    "files.headSigned": headed(() => link("read", seen)),
    "files.writeSigned": async (as) => {
      const path = `/workspace/${unique()}`;
      const to = await link("write", path);
      return await changes(
        as,
        () => contentOf(path),
        (who) => send(who, "PUT", to, "marker"),
      );
    },

    "templates.create": (as) =>
      changes(
        as,
        () => does("GET", "/templates"),
        (who) => send(who, "POST", "/templates", { name: unique(), image: "alpine:latest" }),
      ),
    "templates.list": async (as) => {
      const name = await template();
      return await tells(as, `"${name}"`, (who) => send(who, "GET", "/templates"));
    },
    "templates.get": async (as) => {
      const name = await template();
      return await tells(as, `"name":"${name}"`, (who) => send(who, "GET", `/templates/${name}`));
    },
    "templates.update": async (as) => {
      const name = await template();
      return await changes(
        as,
        () => does("GET", `/templates/${name}`),
        (who) => send(who, "PUT", `/templates/${name}`, { name, image: "alpine:latest", description: "marker" }),
      );
    },
    "templates.delete": async (as) => {
      const name = await template();
      return await changes(
        as,
        () => does("GET", "/templates"),
        (who) => send(who, "DELETE", `/templates/${name}`),
      );
    },
    "templates.spawn": async (as, caller) => {
      const name = await template();
      return await newSandboxBy((who) => send(who, "POST", `/templates/${name}/spawn`, {}))(as, caller);
    },

    "quotas.list": get("/quotas", "owner-of-acme"),
    "quotas.summary": async (as) => {
      const reply = await send(as, "GET", "/quotas/summary");
      return { reply, shows: reply.status === 200 && !reply.text.includes('"total":0') };
    },
    "quotas.get": get("/quotas/owner-of-acme", '"max_sandboxes":7'),
    "quotas.usage": get("/quotas/owner-of-acme/usage", '"quota_configured":true'),
    "quotas.save": (as) =>
      changes(
        as,
        () => does("GET", "/quotas"),
        (who) => send(who, "PUT", `/quotas/${unique()}`, { max_sandboxes: 1 }),
      ),
    "quotas.delete": async (as) => {
      const owner = unique();
      await does("PUT", `/quotas/${owner}`, { max_sandboxes: 1 });
      return await changes(
        as,
        () => does("GET", "/quotas"),
        (who) => send(who, "DELETE", `/quotas/${owner}`),
      );
    },

    "keys.listOwn": async (as) => {
      const { id } = (await programKey()).api_key;
      return await tells(as, id, (who) => send(who, "GET", "/api-keys"));
    },
    "keys.createOwn": (as) =>
      changes(as, keysOfAcme, (who) => send(who, "POST", "/api-keys", { name: unique(), role: "viewer" })),
    "keys.revokeOwn": async (as) => {
      const { id } = (await programKey()).api_key;
      return await changes(as, keysOfAcme, (who) => send(who, "DELETE", `/api-keys/${id}`));
    },
    "keys.list": async (as) => {
      const { id } = (await programKey()).api_key;
      return await tells(as, id, (who) => send(who, "GET", "/admin/api-keys"));
    },
    "keys.create": (as) =>
      changes(as, keysOfAcme, (who) => send(who, "POST", "/admin/api-keys", { name: unique(), tenant_id: "acme" })),
    "keys.revoke": async (as) => {
      const { id } = (await programKey()).api_key;
      return await changes(as, keysOfAcme, (who) => send(who, "DELETE", `/admin/api-keys/${id}`));
    },

    "tenants.own": get("/tenant", '"id":"acme"'),
    "projects.listOwn": get("/tenant/projects", '"id":"web"'),
    "projects.createOwn": (as) =>
      changes(as, projects, (who) => send(who, "POST", "/tenant/projects", { name: unique() })),
    "projects.deleteOwn": async (as) => {
      const id = await project();
      return await changes(as, projects, (who) => send(who, "DELETE", `/tenant/projects/${id}`));
    },
    "members.listOwn": get("/tenant/members", memberOfWeb),
    "members.saveOwn": (as) =>
      changes(as, members, (who) => send(who, "PUT", `/tenant/members/${unique()}`, { role: "viewer" })),
    "members.deleteOwn": async (as) => {
      const id = await member();
      return await changes(as, members, (who) => send(who, "DELETE", `/tenant/members/${id}?project_id=web`));
    },

    "tenants.list": get("/admin/tenants", '"id":"acme"'),
    "tenants.create": (as) => changes(as, tenants, (who) => send(who, "POST", "/admin/tenants", { name: unique() })),
    "tenants.get": get("/admin/tenants/acme", '"id":"acme"'),
    "tenants.update": (as) =>
      changes(as, tenants, (who) => send(who, "PUT", "/admin/tenants/acme", { name: unique() })),
    "tenants.delete": async (as) => {
      const id = await tenant();
      return await changes(as, tenants, (who) => send(who, "DELETE", `/admin/tenants/${id}`));
    },
    "members.list": get("/admin/tenants/acme/members", memberOfWeb),
    "members.save": (as) =>
      changes(as, members, (who) => send(who, "PUT", `/admin/tenants/acme/members/${unique()}`, { role: "viewer" })),
    "members.delete": async (as) => {
      const id = await member();
      const path = `/admin/tenants/acme/members/${id}?project_id=web`;
      return await changes(as, members, (who) => send(who, "DELETE", path));
    },
    "projects.list": get("/admin/tenants/acme/projects", '"id":"web"'),
    "projects.create": (as) =>
      changes(as, projects, (who) => send(who, "POST", "/admin/tenants/acme/projects", { name: unique() })),
    "projects.delete": async (as) => {
      const id = await project();
      return await changes(as, projects, (who) => send(who, "DELETE", `/admin/tenants/acme/projects/${id}`));
    },

    "events.stream": (as, caller) => {
      const own = world.beside[caller];
      const meanwhile = async (): Promise<void> => {
        await run("true");
        // What the caller does see comes after: then the first would have been there.
        if (own !== undefined) await does("POST", `/sandboxes/${own}/exec`, { command: "true" }, as);
      };
      const words = own === undefined ? [box] : [own];
      return tells(as, box, (who) => streamed(`${world.url}/api/v1/events`, who, meanwhile, words));
    },

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
  };
};
