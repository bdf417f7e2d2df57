import { StacyError, type templateOperations } from "@stacyvm/contract";
import type { Clock } from "../../lib/clock.ts";
import { placeOf } from "../../sandbox/scope.ts";
import type { Store, Template } from "../../store/store.ts";
import type { HandlersOf } from "../handler.ts";
import type { Spawn } from "./spawn.ts";
import { templateChange, templateToWire } from "./template-wire.ts";

export interface TemplateHandlersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly spawn: Spawn;
}

const required = (field: string, value: string | undefined): string => {
  if (value === undefined || value.trim() === "") {
    throw new StacyError("invalid_input", `invalid input: template ${field} is required`);
  }
  return value;
};

export const createTemplateHandlers = (options: TemplateHandlersOptions): HandlersOf<typeof templateOperations> => {
  const { store, clock } = options;
  const found = (name: string, template: Template | undefined): Template => {
    if (template === undefined) throw new StacyError("template_not_found", `not found: template "${name}"`);
    return template;
  };

  return {
    "templates.create": async ({ body, identity }) => {
      const now = clock.now();
      const template: Template = {
        ...placeOf(identity.scope),
        name: required("name", body.name),
        version: 1,
        image: required("image", body.image),
        description: "",
        setup: [],
        allowedHosts: [],
        memoryMb: 512,
        cpuCores: 1,
        ttlSeconds: 300,
        env: {},
        secrets: [],
        poolSize: 0,
        provider: "",
        metadata: {},
        createdAtMs: now,
        updatedAtMs: now,
        ...templateChange(body),
      };
      await store.templates.insert(template);
      return { status: 201, body: templateToWire(template) };
    },

    "templates.list": async ({ identity }) => ({
      status: 200,
      body: (await store.templates.list(placeOf(identity.scope))).map(templateToWire),
    }),

    "templates.get": async ({ params: { name }, identity }) => ({
      status: 200,
      body: templateToWire(found(name, await store.templates.get(placeOf(identity.scope), name))),
    }),

    "templates.update": async ({ params: { name }, body, identity }) => {
      const change = { ...templateChange(body), updatedAtMs: clock.now() };
      const updated = await store.templates.update(placeOf(identity.scope), name, change);
      return { status: 200, body: templateToWire(found(name, updated)) };
    },

    "templates.delete": async ({ params: { name }, identity }) => {
      if (!(await store.templates.delete(placeOf(identity.scope), name))) found(name, undefined);
      return { status: 200, body: { status: "deleted" } };
    },

    "templates.spawn": async ({ params: { name }, body, query, ...context }) =>
      await options.spawn({ ...body, template: name }, query.view, context),
  };
};
