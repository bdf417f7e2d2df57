import { Sandbox } from "./sandbox.ts";
import { fullView, once, type SpawnCallOptions, sandboxSpec } from "./spawning.ts";
import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { SandboxInfo, Template, TemplateConfig, TemplateSpawnOverrides } from "./wire.ts";

/** Named sets of spawn values that the server keeps. */
export class TemplateManager {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async list(options?: CallOptions): Promise<Template[]> {
    return await this.#transport.json(templateCall("GET", "", options));
  }

  async get(name: string, options?: CallOptions): Promise<Template> {
    return await this.#transport.json(templateCall("GET", `/${segment(name)}`, options));
  }

  /** @throws {StacyVMError} code `CONFLICT` when the name exists */
  async save(template: TemplateConfig, options?: CallOptions): Promise<Template> {
    const { name, image, description, memory_mb, vcpus, ttl, provider, metadata } = template;
    const json = { name, image, description, memory_mb, vcpus, ttl, provider, metadata };
    return await this.#transport.json({ ...templateCall("POST", "", options), json });
  }

  /** Changes what is given; the rest stays. */
  async update(name: string, changes: Partial<Omit<TemplateConfig, "name">>, options?: CallOptions): Promise<Template> {
    return await this.#transport.json({
      ...templateCall("PUT", `/${segment(name)}`, options),
      json: changes,
    });
  }

  /** Its sandboxes live on. */
  async delete(name: string, options?: CallOptions): Promise<void> {
    await this.#transport.done(templateCall("DELETE", `/${segment(name)}`, options));
  }

  /** As `Client.spawn` does; what is given goes over what the template says. */
  async spawn(name: string, overrides: TemplateSpawnOverrides = {}, options?: SpawnCallOptions): Promise<Sandbox> {
    const info = await this.#transport.json<SandboxInfo>({
      ...templateCall("POST", `/${segment(name)}/spawn`, options),
      ...once(options),
      query: fullView,
      json: { provider: overrides.provider, ttl: overrides.ttl, ...sandboxSpec(overrides) },
    });
    return new Sandbox(this.#transport, info);
  }
}

const templateCall = (method: Call["method"], below: string, options: CallOptions | undefined): Call => ({
  method,
  path: `/templates${below}`,
  options,
});
