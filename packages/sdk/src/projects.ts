import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { Project, ProjectOptions } from "./wire.ts";

/** Walls inside a tenant. */
export class ProjectManager {
  readonly #transport: Transport;
  readonly #path: string;

  /** `tenant` is the tenant's path after `/api/v1`. */
  constructor(transport: Transport, tenant: string) {
    this.#transport = transport;
    this.#path = `${tenant}/projects`;
  }

  /** Oldest first, as far as the caller is in them. */
  async list(options?: CallOptions): Promise<Project[]> {
    return (await this.#transport.json<{ projects: Project[] }>(this.#call("GET", "", options))).projects;
  }

  /** Rejects with reason `already_exists` where the id is taken. */
  async create(name: string, wanted: ProjectOptions = {}, options?: CallOptions): Promise<Project> {
    const call = { ...this.#call("POST", "", options), json: { id: wanted.id, name } };
    return (await this.#transport.json<{ project: Project }>(call)).project;
  }

  /** Deletes it with its members. Rejects with reason `tenant_in_use` while sandboxes, templates or keys are left; `details` counts them. */
  async delete(id: string, options?: CallOptions): Promise<void> {
    await this.#transport.done(this.#call("DELETE", `/${segment(id)}`, options));
  }

  #call(method: Call["method"], below: string, options: CallOptions | undefined): Call {
    return { method, path: this.#path + below, options };
  }
}
