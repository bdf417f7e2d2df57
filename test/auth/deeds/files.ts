import type { World } from "../world.ts";
import type { Box } from "./box.ts";
import { type Deed, streamed, type Try, unique, ways } from "./deed.ts";

/** What is done with a sandbox's files, folders, uploads and links. */
export const fileDeeds = (world: World, box: Box) => {
  const { adminInWeb, send } = world;
  const { inBox, inWeb, run, file, contentOf, seen } = box;
  const { tells, changes, get, headed } = ways(world);
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

  return {
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
  } satisfies Record<string, Deed>;
};
