import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { text } from "../wire.ts";

const values = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
  .meta({ description: "Setting to value, for example `defaults.max_ttl` to `24h0m0s`." });

export const LiveConfig = z
  .strictObject({
    settings: values,
    changed: z.array(z.string()).meta({ description: "Those that differ from what the server was started with." }),
  })
  .meta({ id: "LiveConfig" });

export const ConfigUpdate = z
  .record(text(128), z.unknown())
  .meta({ id: "ConfigUpdate", description: "Settings by their path, or nested as in the configuration file." });

const row = { permission: "config:admin", auditClass: "admin", stream: "none", path: "/api/v1/config" } as const;

export const configOperations = [
  defineOperation({
    ...row,
    id: "config.get",
    method: "GET",
    summary: "Show the settings that may change while the server runs",
    errors: [],
    answers: { 200: json(LiveConfig) },
  }),
  defineOperation({
    ...row,
    id: "config.update",
    method: "PATCH",
    summary: "Change settings of the running server, at once and until its restart",
    errors: [],
    body: ConfigUpdate,
    answers: { 200: json(LiveConfig.extend({ status: z.literal("updated"), message: z.string() })) },
  }),
] as const;
