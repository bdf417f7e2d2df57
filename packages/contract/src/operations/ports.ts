import { z } from "zod";
import { defineOperation, defineProxyOperation, json, type Method } from "../operation.ts";
import { text } from "../wire.ts";
import { guestErrors, sandboxParams } from "./sandboxes.ts";

export const ListeningPort = z
  .strictObject({
    port: z.int(),
    address: z.string().meta({ description: "Inside the sandbox; 127.0.0.1 is reached as well." }),
    pid: z.int().optional(),
    command: z.string().optional(),
  })
  .meta({ id: "ListeningPort" });
export type ListeningPort = z.output<typeof ListeningPort>;

const ports = "/api/v1/sandboxes/{id}/ports";
const port = z.int("must be a whole number").min(1, "must be 1 or more").max(65_535, "must be 65535 or less");
const portParam = z.string().transform(Number).pipe(port);

export const listPorts = defineOperation({
  id: "ports.list",
  method: "GET",
  path: ports,
  summary: "List the ports on which programs in a sandbox listen",
  permission: "sandbox:read",
  auditClass: "none",
  errors: guestErrors,
  stream: "none",
  untrusted: true,
  params: sandboxParams,
  answers: { 200: json(z.array(ListeningPort)) },
});

export const portTunnel = defineOperation({
  id: "ports.tunnel",
  method: "GET",
  path: `${ports}/{port}/tunnel`,
  summary: "Connect to a port over a WebSocket: binary frames are its bytes, an empty one ends a direction",
  permission: "port:connect",
  auditClass: "write",
  auditFields: { id: "public", port: "public" },
  errors: [...guestErrors, "port_refused", "upgrade_required"],
  stream: "websocket",
  params: z.strictObject({ ...sandboxParams.shape, port: portParam }),
  answers: { 101: {} },
});

const proxy = <const Id extends string>(id: Id, method: Method) =>
  defineProxyOperation({
    id,
    method,
    path: `${ports}/{port}/proxy/{path}`,
    summary: `Send a ${method} request to a port in a sandbox; what follows proxy is its path and query`,
    permission: "port:connect",
    auditClass: method === "GET" || method === "HEAD" ? "read" : "write",
    auditFields: { id: "public", port: "public", path: "sensitive" },
    errors: [...guestErrors, "port_refused", "port_protocol", "port_timeout"],
    params: z.strictObject({
      ...sandboxParams.shape,
      port: portParam,
      path: text(16_384).optional(),
    }),
    body: "bytes",
  });

export const portOperations = [
  listPorts,
  portTunnel,
  proxy("ports.get", "GET"),
  proxy("ports.head", "HEAD"),
  proxy("ports.post", "POST"),
  proxy("ports.put", "PUT"),
  proxy("ports.patch", "PATCH"),
  proxy("ports.delete", "DELETE"),
] as const;
