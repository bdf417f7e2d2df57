import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { Recent } from "../lib/recent.ts";
import { everywhere, type Place, type Scope } from "../sandbox/scope.ts";
import type { MemberName, MemberRecord, TenantStore } from "../store/tenant-store.ts";
import { isWeakerOrSame, type Role } from "./roles.ts";

/** Who holds a credential that counts, before it is known where it is used. */
export interface Holder {
  readonly role: Role;
  /** Of a key what it is bound to, of a token what its claim names; empty: none. */
  readonly tenantId: string;
  readonly projectId: string;
  /** Of a token its subject; of a key the member who made it for themself. */
  readonly member: MemberName | undefined;
  readonly credential: "key" | "token";
}

/** What the holder is in the place that the request is about. */
export interface Standing {
  readonly role: Role;
  readonly scope: Scope;
  /** The credential is of a tenant: no header leads out of it, and what concerns the whole server is not for it. */
  readonly ofTenant: boolean;
}

/** What members may be, as the API calls it, and what that makes of them. */
const memberRoles: Readonly<Record<string, Role>> = { viewer: "viewer", operator: "operator", admin: "tenant_admin" };

/** How long tenants and memberships count without another look: what another server changed counts within this. */
const knownForMs = 5_000;
/** Most answers of each kind that are remembered. */
const knownMax = 10_000;
/** Longest id of a tenant or a project, characters. */
export const placeIdMax = 256;

/** What somebody is, in a tenant as a whole or in one project. */
type Membership = Pick<Place, "projectId"> & { readonly role: Role };

const noTenant = (): StacyError => new StacyError("tenant_not_found", "tenant not found");
const noProject = (): StacyError => new StacyError("project_not_found", "project not found");

/** Decides in which tenant and project a request acts, and as what: membership decides, a header only selects. */
export class Tenancy {
  readonly #store: Pick<TenantStore, "any" | "get" | "getProject" | "membershipsOf">;
  readonly #any: Recent<boolean>;
  readonly #places: Recent<boolean>;
  readonly #members: Recent<readonly MemberRecord[]>;
  readonly #onChanged: (() => void) | undefined;

  constructor(options: {
    readonly store: Pick<TenantStore, "any" | "get" | "getProject" | "membershipsOf">;
    readonly clock: Clock;
    /** Told where somebody's standing may have changed. */
    readonly onChanged?: () => void;
  }) {
    this.#onChanged = options.onChanged;
    const rules = { clock: options.clock, forMs: knownForMs, max: knownMax };
    this.#store = options.store;
    this.#any = new Recent(rules);
    this.#places = new Recent(rules);
    this.#members = new Recent(rules);
  }

  /** Whether there is a row that makes somebody a member there. */
  async isMember(member: MemberName, { tenantId, projectId }: Place): Promise<boolean> {
    return this.#roleIn(await this.#rowsIn(tenantId, member), projectId) !== undefined;
  }

  /** Tenants, projects or members were changed here: that counts at once. */
  changed(): void {
    for (const known of [this.#any, this.#places, this.#members]) known.forget();
    this.#onChanged?.();
  }

  /**
   * While there is no tenant their names are labels that callers give as they like. Throws tenant_not_found,
   * project_not_found, tenant_ambiguous, invalid_input, or unauthenticated for the key of somebody who is a member no
   * more; by the promise, where there is one.
   */
  stand(holder: Holder, wanted: Place): Standing | Promise<Standing> {
    const any = this.#any.peek("");
    const isPlain = holder.credential === "key" && holder.member === undefined && wanted.projectId === "";
    if (any !== undefined && isPlain) {
      const { tenantId, projectId, role } = holder;
      if (tenantId !== "") return { role, scope: within(tenantId, projectId), ofTenant: true };
      if (wanted.tenantId === "") return unbound(role, any.value);
    }
    return this.#stand(holder, wanted);
  }

  async #stand(holder: Holder, wanted: Place): Promise<Standing> {
    if (wanted.tenantId.length > placeIdMax || wanted.projectId.length > placeIdMax) {
      throw new StacyError(
        "invalid_input",
        `invalid input: a tenant or project id has at most ${placeIdMax} characters`,
      );
    }
    if (!(await this.#any.get("", () => this.#store.any()))) return this.#withoutTenants(holder, wanted);
    if (holder.credential === "key") return await this.#ofKey(holder, wanted);
    return await this.#ofToken(holder, wanted);
  }

  /** A token's claim stays; what a key's holder writes into the header is taken at their word. */
  #withoutTenants({ role, tenantId, projectId, credential }: Holder, wanted: Place): Standing {
    if (tenantId !== "") return { role, scope: within(tenantId, projectId), ofTenant: true };
    const named = credential === "key" ? wanted.tenantId : "";
    return { ...unbound(role, false), ...(named === "" ? {} : { scope: { tenantId: named } }) };
  }

  async #ofKey({ role, tenantId, projectId, member }: Holder, wanted: Place): Promise<Standing> {
    if (tenantId === "" && wanted.tenantId === "") return unbound(role, true);
    const tenant = tenantId || wanted.tenantId;
    const project = projectId || wanted.projectId;
    await this.#require(tenant, project);
    const scope = within(tenant, project);
    if (member === undefined) return { role, scope, ofTenant: tenantId !== "" };
    const current = this.#roleIn(await this.#rowsIn(tenant, member), project);
    if (current === undefined) {
      throw new StacyError("unauthenticated", "the key's member is not a member of its tenant any more");
    }
    return { role: isWeakerOrSame(role, current) ? role : current, scope, ofTenant: true };
  }

  async #ofToken(holder: Holder, wanted: Place): Promise<Standing> {
    if (holder.role === "admin") {
      const tenantId = wanted.tenantId || holder.tenantId;
      if (tenantId === "") return unbound(holder.role, true);
      await this.#require(tenantId, wanted.projectId);
      return { role: "admin", scope: within(tenantId, wanted.projectId), ofTenant: false };
    }
    const rows = holder.member === undefined ? [] : await this.#rowsOf(holder.member);
    const own = new Set([...(holder.tenantId === "" ? [] : [holder.tenantId]), ...rows.map((row) => row.tenantId)]);
    if (wanted.tenantId === "" && own.size === 0) return unbound(holder.role, true);
    const tenantId = wanted.tenantId || holder.tenantId || only(own, "tenant");
    if (!own.has(tenantId)) throw noTenant();
    await this.#require(tenantId, "");
    const memberships = rows.filter((row) => row.tenantId === tenantId).map(toMembership);
    // A row for the whole tenant counts instead of what the groups say.
    const isListed = memberships.some(({ projectId }) => projectId === "");
    if (tenantId === holder.tenantId && !isListed) memberships.push({ projectId: "", role: holder.role });
    const isOfWhole = memberships.some(({ projectId }) => projectId === "");
    const projectId =
      wanted.projectId || (isOfWhole ? "" : only(new Set(memberships.map((one) => one.projectId)), "project"));
    if (projectId !== "") await this.#require(tenantId, projectId);
    const role = this.#roleIn(memberships, projectId);
    if (role === undefined) throw noProject();
    return { role, scope: within(tenantId, projectId), ofTenant: true };
  }

  /** The strongest of what holds there: a role in the whole tenant holds in each of its projects. */
  #roleIn(memberships: readonly Membership[], projectId: string): Role | undefined {
    return memberships
      .filter((one) => one.projectId === "" || one.projectId === projectId)
      .map(({ role }) => role)
      .toSorted((a, b) => (isWeakerOrSame(a, b) ? 1 : -1))[0];
  }

  #rowsOf(member: MemberName): Promise<readonly MemberRecord[]> {
    const key = JSON.stringify([member.issuer, member.userId]);
    return this.#members.get(key, () => this.#store.membershipsOf(member));
  }

  async #rowsIn(tenantId: string, member: MemberName): Promise<readonly Membership[]> {
    return (await this.#rowsOf(member)).filter((row) => row.tenantId === tenantId).map(toMembership);
  }

  async #require(tenantId: string, projectId: string): Promise<void> {
    const exists = (place: string, look: () => Promise<unknown>): Promise<boolean> =>
      this.#places.get(place, async () => (await look()) !== undefined);
    if (!(await exists(JSON.stringify([tenantId]), () => this.#store.get(tenantId)))) throw noTenant();
    if (projectId === "") return;
    const place = JSON.stringify([tenantId, projectId]);
    if (!(await exists(place, () => this.#store.getProject(tenantId, projectId)))) throw noProject();
  }
}

const within = (tenantId: string, projectId: string): Scope =>
  projectId === "" ? { tenantId } : { tenantId, projectId };

/** Of no tenant: all there is while there are none, and then what is of none. Nobody administers a tenant without one. */
const unbound = (role: Role, anyTenants: boolean): Standing => ({
  role: role === "tenant_admin" ? "operator" : role,
  scope: anyTenants ? { tenantId: "" } : everywhere,
  ofTenant: false,
});

const toMembership = ({ projectId, role }: MemberRecord): Membership => ({
  projectId,
  role: Object.hasOwn(memberRoles, role) ? (memberRoles[role] ?? "anonymous") : "anonymous",
});

/** The one there is; who has several has to say which. */
const only = (ids: ReadonlySet<string>, what: "tenant" | "project"): string => {
  const [id, ...more] = ids;
  if (id !== undefined && more.length === 0) return id;
  throw new StacyError("tenant_ambiguous", `name a ${what}: the caller belongs to ${ids.size}`, {
    details: { [`${what}s`]: [...ids] },
  });
};
