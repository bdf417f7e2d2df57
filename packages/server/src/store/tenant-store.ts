import type { Place } from "../sandbox/scope.ts";

export interface TenantRecord {
  readonly id: string;
  readonly name: string;
  readonly ownerId: string;
  /** Any JSON, as text. */
  readonly settings: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** 0 while it stands; from then on nothing new is made in it. */
  readonly deletingAtMs: number;
}

export interface ProjectRecord {
  readonly tenantId: string;
  readonly id: string;
  readonly name: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** Who a member is: an issuer's name, and the subject of its tokens. */
export interface MemberName {
  readonly issuer: string;
  readonly userId: string;
}

/** A role in a tenant, or, with a project, in that alone. */
export interface MemberRecord extends MemberName, Place {
  readonly role: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** How much of a tenant is left. */
export interface TenantUse {
  readonly sandboxes: number;
  readonly templates: number;
  readonly apiKeys: number;
}

export interface TenantStore {
  /** Throws already_exists. */
  insert(tenant: Omit<TenantRecord, "deletingAtMs">): Promise<void>;
  get(id: string): Promise<TenantRecord | undefined>;
  /** Newest first. */
  list(): Promise<readonly TenantRecord[]>;
  update(
    id: string,
    change: Partial<Pick<TenantRecord, "name" | "ownerId" | "settings">>,
    nowMs: number,
  ): Promise<TenantRecord | undefined>;
  /** From then on nothing new is made in it; keeps the time of the first call. False when there is no such tenant. */
  markDeleting(id: string, nowMs: number): Promise<boolean>;
  /** With its projects, members, quotas, secrets and revoked keys, unless something of it is left: then what. */
  delete(id: string): Promise<"deleted" | "not_found" | TenantUse>;
  /** Ends what is rows alone: templates are deleted, keys revoked. */
  emptyRows(id: string, nowMs: number): Promise<void>;
  any(): Promise<boolean>;

  /** Throws already_exists; undefined where there is no such tenant. */
  insertProject(project: ProjectRecord): Promise<ProjectRecord | undefined>;
  getProject(tenantId: string, id: string): Promise<ProjectRecord | undefined>;
  /** Oldest first. */
  listProjects(tenantId: string): Promise<readonly ProjectRecord[]>;
  /** With its members, unless something of it is left: then what. */
  deleteProject(tenantId: string, id: string): Promise<"deleted" | "not_found" | TenantUse>;

  /** Undefined where there is no such tenant or project. */
  saveMember(member: Omit<MemberRecord, "createdAtMs">): Promise<MemberRecord | undefined>;
  /** Oldest first. */
  listMembers(tenantId: string): Promise<readonly MemberRecord[]>;
  /** All that somebody is a member of. */
  membershipsOf(name: MemberName): Promise<readonly MemberRecord[]>;
  /** With the last of somebody's roles in a tenant their own keys to it are revoked. */
  deleteMember(member: MemberName & Place, nowMs: number): Promise<boolean>;
}
