import { type Call, type CallOptions, segment, type Transport } from "./transport.ts";
import type { Member, MemberOptions, MemberRole } from "./wire.ts";

/** Who has which role in a tenant, or in one of its projects. */
export class MemberManager {
  readonly #transport: Transport;
  readonly #path: string;

  /** `tenant` is the tenant's path after `/api/v1`. */
  constructor(transport: Transport, tenant: string) {
    this.#transport = transport;
    this.#path = `${tenant}/members`;
  }

  /** Oldest first, as far as the caller is with them. */
  async list(options?: CallOptions): Promise<Member[]> {
    return (await this.#transport.json<{ members: Member[] }>(this.#call("GET", "", options))).members;
  }

  /** Gives somebody a role, in place of the one had there; `user` is the subject of the issuer's tokens. */
  async save(user: string, role: MemberRole, place: MemberOptions = {}, options?: CallOptions): Promise<Member> {
    const { project_id, issuer } = place;
    const call = { ...this.#call("PUT", `/${segment(user)}`, options), json: { role, project_id, issuer } };
    return (await this.#transport.json<{ member: Member }>(call)).member;
  }

  /** Takes the role there away; the member's own keys end with it. Rejects with reason `member_not_found` where there was none. */
  async delete(user: string, place: MemberOptions = {}, options?: CallOptions): Promise<void> {
    const { project_id, issuer } = place;
    await this.#transport.done({
      ...this.#call("DELETE", `/${segment(user)}`, options),
      query: { project_id, issuer },
    });
  }

  #call(method: Call["method"], below: string, options: CallOptions | undefined): Call {
    return { method, path: this.#path + below, options };
  }
}
